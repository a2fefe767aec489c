"""The command, run as a user runs it."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from infra.sample.catalogue import draw, features
from infra.sample.records import example, frame
from infra.sample.splits import planted
from pipelines.parameters import DEFAULT_MODELS
from pipelines.registry.runs import load_decisions
from pipelines.report.reproduce import commands
from pipelines.report.results import load_results
from tests.flows.command import run, run_json
from tests.flows.conftest import LENIENT, NUM_NOTES

PAIR = ("train", "test")


def one_sentence(stderr: str) -> str:
    """The last line, which has to be the command's own; nothing may look like a traceback."""
    assert "Traceback" not in stderr
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("nsynth: ")
    return last


def test_retrain_finds_every_planted_defect(retrained: dict[str, Any]) -> None:
    for side, num_notes in (("train", NUM_NOTES["train"]), ("test", NUM_NOTES["test"])):
        found, expected = retrained["datasets"][side], planted(side, num_notes)
        assert found["num_seen"] == expected.num_rows
        assert found["dropped"] == expected.verdicts
        assert found["num_quarantined"] == sum(expected.quarantined.values())
        assert found["num_seen"] == found["num_kept"] + sum(found["dropped"].values())


def test_retrain_scores_every_kept_test_note(retrained: dict[str, Any]) -> None:
    assert set(retrained["models"]) == set(DEFAULT_MODELS)
    for scores in retrained["models"].values():
        assert scores["num_scored"] == retrained["datasets"]["test"]["num_kept"]
        assert 0 <= scores["accuracy"] <= 1
    assert retrained["models"]["preliminary"]["num_parameters"] == 9_098
    assert retrained["models"]["optimised"]["num_parameters"] == 8_838_158


def test_retrain_keeps_what_a_run_is(retrained: dict[str, Any], root: Path) -> None:
    run_folder = root / "runs" / retrained["run_id"]
    assert Path(retrained["report"]) == run_folder / "report.html"
    assert (run_folder / "run.json").exists()
    for name in DEFAULT_MODELS:
        stored = {path.name for path in (run_folder / name).iterdir()}
        assert stored >= {"model.keras", "labels.json", "history.json"}
        assert stored >= {"predictions.parquet", "metrics.json"}
    assert {"report.md", "metrics.json"} <= {path.name for path in run_folder.iterdir()}
    assert f'href="runs/{run_folder.name}/report.html"' in (root / "index.html").read_text("utf-8")


def test_retrain_again_does_nothing_and_says_why(
    retrained: dict[str, Any], arguments: list[str], prefect_env: dict[str, str], root: Path
) -> None:
    folder, page = root / "runs" / retrained["run_id"], root / "index.html"
    kept = [*folder.rglob("*/model.keras"), folder / "report.html", folder / "decisions.json"]
    before = [path.stat().st_mtime_ns for path in kept]
    # The page over all runs is not of the run: that it cannot be written does not fail it.
    content = page.read_bytes()
    page.unlink()
    page.mkdir()
    done = run("nsynth", "retrain", *arguments, "--json", env=prefect_env)
    page.rmdir()
    page.write_bytes(content)
    assert json.loads(done.stdout) == retrained
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert done.stderr.count("nothing to convert") == 2
    assert done.stderr.count("reusing preliminary of run") == 1
    assert "the page over all runs is not refreshed: " in done.stderr
    assert "Traceback" not in done.stderr


def test_stages_alone_come_to_the_same_run(
    retrained: dict[str, Any], source: Path, root: Path
) -> None:
    manifests = {}
    for side in ("train", "test"):
        file = str(source / f"nsynth-{side}.tfrecord")
        converted = run_json("nsynth", "convert", file, "--root", str(root), *LENIENT[:2])
        assert converted["record_bytes"] + converted["skipped_bytes"] == converted["source_bytes"]
        assert converted["source_bytes"] == Path(file).stat().st_size
        assert converted["num_notes"] == planted(side, NUM_NOTES[side]).num_rows
        assert converted["num_shards"] == 1
        manifests[side] = converted["manifest"]
        judged = run_json("nsynth", "validate", converted["manifest"], *LENIENT[2:])
        assert judged["num_seen"] == judged["num_kept"] + sum(judged["dropped"].values())
    trained = run_json(
        *("nsynth", "train", manifests["train"], "--test", manifests["test"]),
        *("--root", str(root), "--epochs", "1", *LENIENT[2:]),
    )
    assert trained == {key: value for key, value in retrained.items() if key != "report"}


def test_report_is_written_again_from_what_is_stored(retrained: dict[str, Any], root: Path) -> None:
    before = Path(retrained["report"]).read_bytes()
    Path(retrained["report"]).unlink()
    found = run_json("nsynth", "report", retrained["run_id"][:8], "--root", str(root))
    assert found == {"report": retrained["report"]}
    assert Path(found["report"]).read_bytes() == before


def test_commands_of_the_report_find_its_run(
    retrained: dict[str, Any], prefect_env: dict[str, str]
) -> None:
    run_uri = str(Path(retrained["report"]).parent)
    found = commands(load_results(run_uri))
    assert found.from_sources is not None
    for command in (found.from_sources, found.from_datasets):
        again = run_json(*shlex.split(command), env=prefect_env)
        assert again["run_id"] == retrained["run_id"]


def test_retrain_keeps_what_it_decided(retrained: dict[str, Any]) -> None:
    (flow_run,) = load_decisions(str(Path(retrained["report"]).parent))
    stages = [decision.stage for decision in flow_run.decisions]
    assert list(dict.fromkeys(stages)) == [
        *("convert", "validate", "train", "evaluate", "analyse", "promote"),
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evaluate", "0123", "--root", "nowhere"), "no run '0123'"),
        (("compare", "0123", "4567", "--root", "nowhere"), "no run '0123'"),
        (("convert", "nowhere.tfrecord"), "no file .*nowhere.tfrecord"),
        (("convert", "nowhere-*.tfrecord"), "no file matches"),
        (("validate", "nowhere/manifest.json"), "no file"),
        (("report", "0123", "--root", "nowhere"), "0123"),
        (
            ("convert", "none", "--runner", "portable", "--beam-option", "parallelism"),
            "expected a Beam option as KEY=VALUE, with letters, digits and _ in KEY, got another",
        ),
        (
            ("convert", "none", "--runner", "flink", "--engine-settings", "none.toml"),
            "cannot read the settings none.toml",
        ),
        (
            (
                *("convert", __file__, "--root", "s3://bucket", "--runner", "dataflow"),
                *("--beam-option", "project=p", "--beam-option", "region=r"),
                *("--beam-option", "temp_location=gs://bucket/temp"),
            ),
            r"the runner dataflow needs more packages: pip install 'nsynth-flows\[dataflow\]'",
        ),
        (
            ("convert", "none", "--template", "gs://bucket/template"),
            "there is no file .*none",
        ),
    ],
)
def test_command_says_in_a_sentence_what_is_missing(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = run("nsynth", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(sentence, one_sentence(done.stderr))


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert",),
        ("convert", "x", "--runner", "abacus"),
        ("convert", "x", "--max-quarantined", "2"),
        ("retrain", "--train", "x"),
        ("retrain", "--train", "x", "--test", "y", "--protocol", "grouped"),
        ("retrain", "--train", "x", "--test", "y", "--protocol", "official"),
        ("retrain", "--train", "x", "--test", "y", "--seed", "1", "--seed", "1"),
        ("train", "x", "--protocol", "reference"),
        ("retrain", "--train", "x", "--test", "y", "--epochs", "0"),
        ("retrain", "--train", "x", "--test", "y", "--validation-fraction", "1.5"),
        ("retrain", "--train", "x", "--test", "y", "--model", "enormous"),
    ],
)
def test_command_refuses_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "Error" in done.stderr


def test_retrain_says_in_a_sentence_that_a_source_is_missing(
    prefect_env: dict[str, str], source: Path, tmp_path: Path
) -> None:
    good = str(source / "nsynth-test.tfrecord")
    done = run(
        *("nsynth", "retrain", "--train", "gone.tfrecord", "--test", good),
        *("--root", str(tmp_path / "data")),
        env=prefect_env,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "gone.tfrecord" in one_sentence(done.stderr)


@pytest.mark.parametrize(
    ("families", "sentence"),
    [(["synth_lead"], "no note of .* is left"), (["bass"], "one class|only bass|bass")],
)
def test_train_refuses_notes_that_teach_nothing(
    families: list[str], sentence: str, source: Path, root: Path, tmp_path: Path
) -> None:
    notes = draw(NUM_NOTES, dict.fromkeys(NUM_NOTES, 0), seed=1)["train"].notes
    chosen = [note for note in notes if note.family in families]
    file = tmp_path / "few.tfrecord"
    file.write_bytes(b"".join(frame(example(features(note, seed=1))) for note in chosen))
    train = run_json("nsynth", "convert", str(file), "--root", str(root))["manifest"]
    test = str(source / "nsynth-test.tfrecord")
    test = run_json("nsynth", "convert", test, "--root", str(root), *LENIENT[:2])["manifest"]
    done = run("nsynth", "train", train, "--test", test, "--root", str(root), *LENIENT[2:])
    assert done.returncode == 1
    assert re.search(sentence, one_sentence(done.stderr))


def test_retrain_fails_with_the_reasons_when_too_many_notes_are_defective(
    arguments: list[str], prefect_env: dict[str, str], retrained: dict[str, Any]
) -> None:
    done = run("nsynth", "retrain", *arguments, "--max-dropped", "0.01", env=prefect_env)
    assert done.returncode == 1
    assert "duplicate_audio 3" in one_sentence(done.stderr)


def test_stored_data_can_be_listed_verified_and_cleaned(
    retrained: dict[str, Any], root: Path
) -> None:
    listed = run_json("nsynth", "list", str(root))
    assert [item["num_notes"] for item in listed["datasets"] if not item["note"]]
    assert retrained["run_id"] in [item.get("run_id") for item in listed["runs"]]
    verified = run_json("nsynth", "verify", str(root))
    assert verified["problems"] == []
    for source in verified["sources"]:
        assert source["record_bytes"] + source["skipped_bytes"] == source["source_bytes"]
    quarantined = run_json("nsynth", "quarantine", str(root))["quarantined"]
    expected = sum(sum(planted(side, NUM_NOTES[side]).quarantined.values()) for side in PAIR)
    assert len(quarantined) == expected
    assert run_json("nsynth", "clean", str(root), "--dry-run")["objects"] == []


def test_verify_fails_with_what_is_wrong(retrained: dict[str, Any], root: Path) -> None:
    shard = next(root.glob("notes/*/data/part-*.parquet"))
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-100])
    done = run("nsynth", "verify", str(root), "--json")
    shard.write_bytes(sound)
    assert done.returncode == 1
    assert shard.name in json.loads(done.stdout)["problems"][0]
