"""When a report is written again."""

import json
from pathlib import Path

import pytest

from pipelines.decisions import collect_decisions
from pipelines.report import build
from pipelines.report.build import REPORT_VERSION, current_report
from tests.pipelines.report.run_folder import write_run


@pytest.fixture
def run_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def build_quickly(uri: str) -> None:
        for name in ("report.html", "report.md", "metrics.json"):
            Path(uri, name).write_text("written")

    monkeypatch.setattr(build, "build_report", build_quickly)
    return write_run(tmp_path / "a1b2", models={"tiny": 4.0})


def did(run_uri: str, *, force: bool = False) -> str:
    with collect_decisions() as decisions:
        assert current_report(run_uri, force=force) == f"{run_uri}/report.html"
    (decision,) = decisions
    assert (decision.stage, decision.subject) == ("report", "a1b2")
    return decision.action


def test_current_report_is_written_once(run_uri: str) -> None:
    assert did(run_uri) == "ran"
    written = Path(run_uri, "report.html").stat().st_mtime_ns
    assert did(run_uri) == "reused"
    assert Path(run_uri, "report.html").stat().st_mtime_ns == written
    assert did(run_uri, force=True) == "ran"


def test_current_report_follows_what_the_run_stores(run_uri: str) -> None:
    did(run_uri)
    history = Path(run_uri, "tiny", "history.json")
    changed = json.loads(history.read_text())
    changed["seconds"][0] = 1_000.0
    history.write_text(json.dumps(changed))
    assert did(run_uri) == "ran"
    assert did(run_uri) == "reused"


@pytest.mark.parametrize("name", ["report.html", "report.json", "report.md", "metrics.json"])
def test_current_report_is_written_where_a_part_is_gone(run_uri: str, name: str) -> None:
    did(run_uri)
    Path(run_uri, name).unlink()
    assert did(run_uri) == "ran"


def test_current_report_tells_the_figures_of_a_model_from_those_of_the_run(run_uri: str) -> None:
    did(run_uri)
    of_run = Path(run_uri, "metrics.json")
    of_run.write_text(of_run.read_text() + " ")
    assert did(run_uri) == "reused"
    of_model = Path(run_uri, "tiny", "metrics.json")
    of_model.write_text(of_model.read_text() + " ")
    assert did(run_uri) == "ran"


def test_current_report_follows_its_version(run_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    did(run_uri)
    monkeypatch.setattr(build, "REPORT_VERSION", REPORT_VERSION + 1)
    assert did(run_uri) == "ran"
