"""The main job out of fold with two seeds, on notes of a hostile name: ten trainings."""

import json
from pathlib import Path

import pytest

from tests.flows.command import run
from tests.flows.conftest import LENIENT
from tests.flows.test_hostile import NAME, SEEN, check, records


def test_retrain_out_of_fold_gives_the_spread_over_seeds_and_shows_hostile_names(
    tmp_path: Path,
) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / f"{NAME}.tfrecord").write_bytes(b"".join(records()))
    done = run(
        *("nsynth", "retrain", "--train", str(folder / f"{NAME}.tfrecord")),
        *("--protocol", "grouped", "--seed", "0", "--seed", "1", "--root", str(folder / "root")),
        *("--epochs", "1", "--model", "preliminary", *LENIENT, "--json"),
        # Prefect's own lines too, as on a worker.
        env={
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_API_URL": "",
            "PREFECT_LOGGING_LEVEL": "INFO",
        },
    )
    assert done.returncode == 0, done.stderr
    check(done.stderr)
    assert SEEN in done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    scores = [one["models"]["preliminary"] for one in result["runs"]]
    num_kept = result["runs"][0]["datasets"]["train"]["num_kept"]
    assert [score["num_scored"] for score in scores] == [num_kept, num_kept]
    mean = sum(score["accuracy"] for score in scores) / 2
    assert result["accuracy"]["preliminary"]["mean"] == pytest.approx(mean)
    reports = sorted((folder / "root" / "runs").glob("*/report.md"))
    assert len(reports) == 2
    for report in reports:
        text = report.read_text("utf-8")
        check(text)
        assert "grouped" in text
