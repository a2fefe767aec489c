import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines import decisions
from pipelines.errors import ConfigError, DatasetError
from pipelines.promotion.stored import load_promotion
from pipelines.registry.champions import champion, history, roll_back
from pipelines.registry.holdout import current_holdout, load_looks
from tests.pipelines.promotion.stage import MODEL, NUM_GATED, Stage, make_stage

MIDDLING, BAD = range(0, NUM_GATED, 3), range(0, NUM_GATED, 2)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return make_stage(str(tmp_path / "root"), tmp_path)


def crowned(stage: Stage) -> list[str]:
    return [entry.run_id for entry in history(stage.root, MODEL)]


def test_promote_makes_the_first_model_champion(stage: Stage) -> None:
    uri = stage.run("a", wrong=BAD)
    found = stage.promote(uri)
    assert (found.outcome, found.entry, found.champion) == ("promoted", 1, None)
    assert "there was no champion; its accuracy is 0.5000" in found.why
    assert found.gate is not None
    assert (found.gate.look, found.gate.num_notes, found.gate.num_instruments) == (1, 60, 60)
    assert load_promotion(uri, MODEL) == found
    entry = champion(stage.root, MODEL)
    assert entry is not None
    assert (entry.run_id, entry.by, entry.gate) == ("a", "flow", stage.gate.digest)
    assert entry.model_uri == f"runs/a/{MODEL}/model.keras"


def test_promote_again_adds_nothing_and_says_so(stage: Stage) -> None:
    uri = stage.run("a")
    first = stage.promote(uri)
    with decisions.collect_decisions() as heard:
        again = stage.promote(uri)
    assert (again.outcome, again.is_news, first.is_news) == ("promoted", False, True)
    assert [(decision.action, decision.why) for decision in heard] == [
        ("reused", "run a is the champion of preliminary already (entry 1)")
    ]
    assert (crowned(stage), len(load_looks(stage.gate))) == (["a"], 1)


def test_promote_crowns_what_is_better_and_counts_the_look(stage: Stage) -> None:
    stage.promote(stage.run("a", wrong=BAD))
    with decisions.collect_decisions() as heard:
        found = stage.promote(stage.run("b"))
    assert (found.outcome, found.entry, found.quality_drop) == ("promoted", 2, False)
    assert found.champion is not None
    assert (found.champion.number, found.champion.run_id) == (1, "a")
    assert found.gate is not None
    assert found.gate.look == 2
    assert [(decision.stage, decision.subject, decision.action) for decision in heard] == [
        ("promote", MODEL, "promoted")
    ]
    assert crowned(stage) == ["a", "b"]
    assert [look["challenger"]["run_id"] for look in load_looks(stage.gate)] == ["a", "b"]


def test_promote_keeps_the_champion_and_rings_the_alarm_once(stage: Stage) -> None:
    stage.promote(stage.run("a"))
    uri = stage.run("b", wrong=MIDDLING)
    first, again = stage.promote(uri), stage.promote(uri)
    assert (first.outcome, first.quality_drop, first.is_news) == ("kept champion", True, True)
    assert first.alarms[0].startswith("preliminary of run b is worse than the champion: ")
    assert (again, again.is_news) == (first, False)
    assert (crowned(stage), len(load_looks(stage.gate))) == (["a"], 2)


def test_promote_asks_again_where_the_rule_or_the_champion_is_another(stage: Stage) -> None:
    stage.promote(stage.run("a"))
    uri = stage.run("b", wrong={0})
    assert stage.promote(uri).outcome == "kept champion"
    assert stage.promote(uri, margin=0.2).outcome == "promoted"
    assert len(load_looks(stage.gate)) == 3


@pytest.mark.parametrize(
    ("met", "protocol", "outcome"),
    [
        ({"trains": [NUM_GATED, 3]}, "reference", "refused"),
        ({"validates": range(NUM_GATED)}, "reference", "promoted"),
        ({"validates": [3]}, "official", "refused"),
        ({"validates": [NUM_GATED + 1]}, "official", "promoted"),
        ({}, "grouped", "refused"),
    ],
)
def test_promote_refuses_what_met_the_gate(
    stage: Stage, met: dict[str, object], protocol: str, outcome: str
) -> None:
    found = stage.promote(stage.run("a", protocol=protocol, **met))  # type: ignore[arg-type] # as named
    assert found.outcome == outcome
    assert (crowned(stage) == ["a"]) == (outcome == "promoted")
    if outcome == "refused":
        assert len(load_looks(stage.gate)) == 0
        wanted = "leaves no model" if protocol == "grouped" else "met 1 note in training that the"
        assert wanted in found.why


def test_promote_refuses_where_the_champion_met_the_gate(stage: Stage) -> None:
    known = stage.promote(
        stage.run("a", trains=range(90)), by="hand", reason="a trial", override=True
    )
    assert known.outcome == "promoted"
    found = stage.promote(stage.run("b"))
    assert found.outcome == "refused"
    assert "the champion (preliminary of run a) met 60 notes in training" in found.why
    assert crowned(stage) == ["a"]


def test_promote_refuses_where_the_champion_is_gone(stage: Stage) -> None:
    run = Path(stage.run("a"))
    stage.promote(str(run))
    (run / "run.json").unlink()
    found = stage.promote(stage.run("b"))
    assert found.outcome == "refused"
    assert "the champion cannot be compared with" in found.why


def test_promote_by_hand_may_override_and_says_so(stage: Stage) -> None:
    stage.promote(stage.run("a"))
    uri = stage.run("b", wrong=MIDDLING)
    with pytest.raises(ConfigError, match="only a hand may override the gate"):
        stage.promote(uri, override=True)
    assert stage.promote(uri, by="hand", reason="it is smaller").outcome == "kept champion"
    found = stage.promote(uri, by="hand", reason="it is smaller", override=True)
    assert (found.outcome, found.by, found.entry) == ("promoted", "hand", 2)
    assert found.why.startswith("promoted by hand (it is smaller), although the rule says: the acc")
    entry = champion(stage.root, MODEL)
    assert entry is not None
    assert (entry.by, entry.reason, entry.verdict) == ("hand", "it is smaller", "kept champion")


def test_promote_does_not_undo_a_rollback_but_a_hand_may(stage: Stage) -> None:
    stage.promote(stage.run("a", wrong=BAD))
    uri = stage.run("b")
    stage.promote(uri)
    roll_back(stage.root, MODEL)
    known = load_promotion(uri, MODEL)
    found = stage.promote(uri)
    assert (found.outcome, found.is_news) == ("kept champion", False)
    assert load_promotion(uri, MODEL) == known
    assert "was champion before, by entry 2; only a hand brings it back" in found.why
    assert stage.promote(uri, by="hand", reason="it was right").outcome == "promoted"
    assert crowned(stage) == ["a", "b", "a", "b"]


def test_promote_says_what_got_worse_with_the_data(stage: Stage) -> None:
    stage.promote(stage.run("a", wrong=BAD))
    worse = replace(stage.train, num_seen=stage.train.num_seen + 10, dropped={"silent": 10})
    found = stage.promote(stage.run("b", train=worse))
    assert (found.outcome, found.quality_drop) == ("promoted", False)
    assert found.health == ("defective notes of the train data rose from 0.0% to 10.0%",)
    assert found.alarms == [
        "the data of preliminary of run b got worse: defective notes of the train data rose from "
        "0.0% to 10.0%"
    ]


def test_promote_takes_the_gate_from_a_run_that_knew_of_none(stage: Stage) -> None:
    trained = stage.run("a", validates=range(NUM_GATED))
    (Path(stage.root) / "registry" / "gate" / "00001.json").unlink()
    found = stage.promote(trained)
    gate = current_holdout(stage.root)
    assert gate is not None
    assert gate.digest == stage.gate.digest
    assert found.outcome == "promoted"


def test_promote_refuses_an_official_run_without_a_gate(stage: Stage, tmp_path: Path) -> None:
    other = replace(stage, root=str(tmp_path / "other"))
    found = other.promote(stage.run("a", protocol="official"))
    assert (found.outcome, found.gate) == ("refused", None)
    assert "there is no gate" in found.why


def test_promote_names_what_is_wrong_with_the_request(stage: Stage) -> None:
    uri = stage.run("a")
    with pytest.raises(ConfigError, match="margin must be from 0"):
        stage.promote(uri, margin=1.0)
    with pytest.raises(ConfigError, match=r"there is no .*run\.json|not found|no such"):
        stage.promote(f"{uri}b")


def test_promote_mends_what_a_killed_process_left(stage: Stage) -> None:
    uri = stage.run("a")
    stage.promote(uri)
    (Path(uri) / MODEL / "promotion.json").unlink()
    assert stage.promote(uri).entry == 1
    stored = load_promotion(uri, MODEL)
    assert stored is not None
    assert (stored.outcome, stored.entry) == ("promoted", 1)


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_promote_of_many_at_once_ends_with_the_best(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = str(tmp_path / "root") if kind == "local" else request.getfixturevalue("bucket")
    stage = make_stage(root, tmp_path)
    uris = [stage.run(f"{number}", wrong=range(15 * number)) for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(stage.promote, uris))
    assert crowned(stage)[-1] == "0"
    # Each champion took the place of the one before it, and of no other.
    entries = {promotion.entry: promotion for promotion in found if promotion.entry is not None}
    assert sorted(entries) == list(range(1, len(entries) + 1))
    for number, promotion in entries.items():
        assert (
            promotion.champion is None
            if number == 1
            else promotion.champion and promotion.champion.number < number
        )
        assert promotion.champion is None or promotion.champion.number == number - 1


def test_promote_of_one_model_by_many_is_one_entry_and_one_look(stage: Stage) -> None:
    uri = stage.run("a")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: stage.promote(uri), range(6)))
    assert {(promotion.outcome, promotion.entry) for promotion in found} == {("promoted", 1)}
    assert (crowned(stage), len(load_looks(stage.gate))) == (["a"], 1)


@pytest.mark.parametrize("text", ["{", "{}", '{"format_version": 2}'])
def test_load_promotion_refuses_what_it_does_not_know(stage: Stage, text: str) -> None:
    uri = stage.run("a")
    stored = Path(uri) / MODEL / "promotion.json"
    stored.parent.mkdir(exist_ok=True)
    stored.write_text(text)
    with pytest.raises(DatasetError, match=r"promotion\.json"):
        load_promotion(uri, MODEL)


def test_promotion_json_holds_what_its_readers_expect(stage: Stage) -> None:
    stage.promote(stage.run("a", wrong=BAD))
    uri = stage.run("b")
    stage.promote(uri)
    content = json.loads((Path(uri) / MODEL / "promotion.json").read_text())
    assert (content["format_version"], content["outcome"], content["entry"]) == (1, "promoted", 2)
    accuracy = content["figures"]["figures"]["accuracy"]
    np.testing.assert_allclose([accuracy["first"], accuracy["second"]], [0.5, 1.0])
    assert len(accuracy["interval"]) == 2
