"""Pages of a real run on generated notes, and the browser that opens them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.sample.splits import write_splits
from pipelines.evaluate.comparison import compare_models, compare_with_first
from pipelines.report.build import build_report
from pipelines.report.runs_comparison import write_comparison
from pipelines.report.runs_index import build_index
from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.hostile import records, rename_notes
from tests.flows.command import run_json

NUM_NOTES = {"train": 60, "valid": 40, "test": 60}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is on the PATH")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a run, the same with hostile names everywhere, and the pages over both."""
    folder = tmp_path_factory.mktemp("browser")
    source, root = folder / "<b>source & co", folder / "root"
    write_splits(str(source), NUM_NOTES)
    test = source / "nsynth-test.tfrecord"
    test.write_bytes(b"".join([test.read_bytes(), *records()]))
    done = run_json(
        *("nsynth", "retrain", "--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(test), "--root", str(root), "--epochs", "1"),
        *("--max-quarantined", "0.6", "--max-dropped", "0.6"),
        env={"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": ""},
    )
    run = Path(done["report"]).parent
    hostile = run.with_name("badbad")
    shutil.copytree(run, hostile)
    rename_notes(hostile)
    build_report(str(hostile))
    # Beside itself the run has differences; the notes of the other are not its own.
    runs = [str(run), str(run), str(hostile)]
    compared, models = str(root / "compared.html"), str(root / "models.html")
    return {
        "report": run / "report.html",
        "hostile": hostile / "report.html",
        "index": Path(build_index(str(root))),
        "runs": Path(write_comparison(compared, runs, compare_with_first(runs), {})),
        "models": Path(write_comparison(models, runs[:1], [], compare_models(runs[0]))),
    }
