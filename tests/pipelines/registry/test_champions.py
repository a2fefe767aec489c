import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, DatasetError
from pipelines.records import sealed
from pipelines.registry.champions import (
    Entry,
    champion,
    champions,
    history,
    roll_back,
    set_champion,
)

MODEL = "preliminary"


def entry(number: int, run_id: str, **changes: object) -> Entry:
    return replace(
        Entry(
            number=number,
            model=MODEL,
            run_id=run_id,
            model_uri=f"runs/{run_id}/{MODEL}/model.keras",
            model_sha256=f"sha-of-{run_id}",
            gate="a digest",
            verdict="promoted",
            why="it is better",
            figures={"accuracy": 0.5, "interval": [0.1, 0.2]},
            by="flow",
        ),
        **changes,  # type: ignore[arg-type] # fields of an entry
    )


def crown_all(root: str, *run_ids: str) -> None:
    for run_id in run_ids:
        assert set_champion(root, entry(len(history(root, MODEL)) + 1, run_id))


def crowned_ids(root: str) -> list[str]:
    return [of.run_id for of in history(root, MODEL)]


def test_highest_entry_is_the_champion(root: str) -> None:
    assert champion(root, MODEL) is None
    assert champions(root) == ({}, {})
    crown_all(root, "a", "b")
    assert champion(root, MODEL) == entry(2, "b")
    assert champions(root) == ({MODEL: entry(2, "b")}, {})


def test_crown_succeeds_where_the_same_entry_is_there(root: str) -> None:
    assert set_champion(root, entry(1, "a", when="yesterday"))
    stored = set_champion(root, entry(1, "a", when="today"))
    assert stored is not None
    assert stored.when == "yesterday"
    assert set_champion(root, entry(1, "b")) is None
    assert crowned_ids(root) == ["a"]


def test_crown_gives_each_of_many_racers_one_number(root: str) -> None:
    def race(run_id: str) -> int:
        while True:
            wanted = entry(len(history(root, MODEL)) + 1, run_id)
            if stored := set_champion(root, wanted):
                return stored.number

    run_ids = [f"{number:02d}" for number in range(6)]
    with ThreadPoolExecutor(len(run_ids)) as pool:
        numbers = list(pool.map(race, run_ids))
    assert sorted(numbers) == list(range(1, 7))
    won = dict(zip(numbers, run_ids, strict=True))
    assert crowned_ids(root) == [won[number] for number in sorted(won)]


def test_crown_lets_racers_for_the_same_champion_win_together(root: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: set_champion(root, entry(1, "a")), range(8)))
    assert stored == [entry(1, "a")] * 8
    assert crowned_ids(root) == ["a"]


def test_roll_back_is_a_new_entry_that_points_back(root: str) -> None:
    crown_all(root, "a", "b", "c")
    found = roll_back(root, MODEL, reason="c forgets organs")
    assert (found.number, found.run_id, found.points_to) == (4, "b", 2)
    assert (found.by, found.reason) == ("rollback", "c forgets organs")
    assert champion(root, MODEL) == found
    assert roll_back(root, MODEL).run_id == "a"
    with pytest.raises(ConfigError, match="no model was champion of preliminary before"):
        roll_back(root, MODEL)
    assert crowned_ids(root) == ["a", "b", "c", "b", "a"]


def test_roll_back_goes_to_the_entry_that_is_named(tmp_path: Path) -> None:
    root = str(tmp_path)
    crown_all(root, "a", "b", "c")
    assert roll_back(root, MODEL, to=1).run_id == "a"
    assert roll_back(root, MODEL, to=3).run_id == "c"
    with pytest.raises(ConfigError, match="entries from 1 to 5, not 9"):
        roll_back(root, MODEL, to=9)
    with pytest.raises(ConfigError, match="entry 5 of preliminary is of the model that is its cha"):
        roll_back(root, MODEL, to=5)


def test_roll_back_without_a_champion_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="preliminary has no champion to roll back from"):
        roll_back(str(tmp_path), MODEL)


@given(st.lists(st.sampled_from(["crown", "back"]), max_size=12))
def test_entries_before_the_last_never_change(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    root, before = str(tmp_path_factory.mktemp("root")), list[Entry]()
    for number, step in enumerate(steps):
        if step == "crown":
            crown_all(root, f"{number:02d}")
        elif len({of.run_id for of in before}) > 1:
            try:
                roll_back(root, MODEL)
            except ConfigError:
                assert champion(root, MODEL).origin == 1  # type: ignore[union-attr] # there is one
        found = list(history(root, MODEL))
        assert found[: len(before)] == before
        before = found


def test_history_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    crown_all(str(tmp_path), "a")
    path = tmp_path / "registry" / MODEL / "00001.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format_version": 9}))
    with pytest.raises(DatasetError, match="expected format_version 1 or 2"):
        champion(str(tmp_path), MODEL)
    path.write_text(json.dumps(content | {"crown": "gold"}))
    with pytest.raises(DatasetError, match=r"00001\.json was changed after it was written; rest"):
        champion(str(tmp_path), MODEL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"model_uri": "../../x/model.keras"},
            "model_uri: '../../x/model.keras' is not a location",
        ),
        ({"run_id": "../a"}, "run_id: '../a' is not a name"),
        ({"model": "optimised"}, "is of optimised and points to entry 1; restore it"),
        ({"points_to": 2}, "is of preliminary and points to entry 2; restore it"),
        ({"by": "nobody"}, "by: input should be 'flow', 'hand' or 'rollback'"),
    ],
)
def test_history_refuses_an_entry_that_leads_elsewhere(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    crown_all(str(tmp_path), "a")
    path = tmp_path / "registry" / MODEL / "00001.json"
    content = json.loads(path.read_text()) | change
    # As somebody writes it who knows how records are sealed.
    del content["content_digest"]
    path.write_bytes(sealed(content, format_version=2))
    with pytest.raises(DatasetError, match=message):
        champion(str(tmp_path), MODEL)
