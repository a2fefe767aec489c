import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES
from pipelines.registry.inventory import find_run
from pipelines.registry.runs import ModelRecord, RunRecord, load_run, store_run
from pipelines.validate.verdicts import Validation
from tests.pipelines.registry.training import TRAINING

VALIDATION = Validation(
    manifest_uri="data/notes/a/manifest.json",
    manifest_digest="aa",
    verdict_digest="bb",
    uri="data/notes/a/validation/bb",
    num_seen=5,
    num_kept=3,
    num_quarantined=1,
    dropped={"silent": 1, "leaked": 1},
    families={"bass": 3},
    official="",
)
RECORD = RunRecord(
    run_id="0123456789abcdef",
    training_version=1,
    experiment=Experiment(seed=3),
    backend="tensorflow",
    device="cpu (tensorflow 2.21.0)",
    versions={"keras": "3.15.1"},
    git=None,
    families=CLASSES,
    datasets={"train": VALIDATION, "test": replace(VALIDATION, manifest_digest="cc")},
    models={"preliminary": ModelRecord(9098, (("Conv1D", (7999, 64), 192),), (TRAINING,))},
    created="2026-11-23T00:00:00+00:00",
    seconds=1.5,
)


def store(root: Path, run_id: str) -> str:
    uri = f"{root}/runs/{run_id}"
    store_run(replace(RECORD, run_id=run_id), uri)
    return uri


def test_load_run_gives_back_what_store_run_wrote(tmp_path: Path) -> None:
    assert load_run(store(tmp_path, RECORD.run_id)) == RECORD


def test_run_record_says_in_json_what_readers_expect() -> None:
    content = json.loads(RECORD.to_json())
    assert (content["format_version"], content["seed"]) == (5, 3)
    assert content["experiment"]["models"] == ["preliminary", "optimised"]
    assert content["datasets"]["train"]["dropped"] == {"silent": 1, "leaked": 1}
    assert content["models"]["preliminary"]["num_parameters"] == 9098


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"format_version": 1}',
            "expected format_version 3 or 4 or 5 in .*, found 1; use",
        ),
        ('{"format_version": 3}', "is not the record of a run: run_id: field required"),
        ("[]", "is not the record of a run: it holds a JSON list where an object belongs; run the"),
        ("{", "is not the record of a run: EOF"),
    ],
)
def test_load_run_refuses_what_it_does_not_know(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        load_run(str(tmp_path))


def test_load_run_reads_a_record_of_the_format_before(tmp_path: Path) -> None:
    content = json.loads(RECORD.to_json()) | {"format_version": 3}
    del content["content_digest"], content["models"]["preliminary"]["predictions_digest"]
    for side in content["datasets"].values():
        del side["verdicts_digest"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert load_run(str(tmp_path)) == RECORD


def test_find_run_takes_an_id_its_beginning_or_a_uri(tmp_path: Path) -> None:
    first, _ = store(tmp_path, "aabb"), store(tmp_path, "aacc")
    for run in ("aabb", "aab", first, f"{first}/run.json"):
        assert find_run(str(tmp_path), run) == first


def test_find_run_prefers_the_whole_id_to_a_beginning(tmp_path: Path) -> None:
    first, _ = store(tmp_path, "aa"), store(tmp_path, "aabb")
    assert find_run(str(tmp_path), "aa") == first


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("aa", "several runs begin with 'aa': aabb, aacc in .*/runs; name one by its run_id"),
        ("ff", "no run 'ff' in .*/runs"),
        ("*", r"expected a run_id of digits and a to f, or a URI, got '\*'"),
        ("./nowhere", r"there is no run.json in .*/nowhere"),
    ],
)
def test_find_run_refuses_what_names_no_single_run(tmp_path: Path, run: str, message: str) -> None:
    store(tmp_path, "aabb")
    store(tmp_path, "aacc")
    with pytest.raises(ConfigError, match=message):
        find_run(str(tmp_path), run)


def test_find_run_knows_only_finished_runs(tmp_path: Path) -> None:
    (tmp_path / "runs" / "aabb" / "preliminary").mkdir(parents=True)
    with pytest.raises(ConfigError, match="no run 'aabb'"):
        find_run(str(tmp_path), "aabb")


def test_find_run_looks_into_remote_roots() -> None:
    store_run(RECORD, f"memory://found/runs/{RECORD.run_id}")
    assert find_run("memory://found", "0123").endswith(f"found/runs/{RECORD.run_id}")
    assert load_run(find_run("memory://found", "0123")) == RECORD
