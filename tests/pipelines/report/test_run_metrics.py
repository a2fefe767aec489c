"""The figures of a run in one file, and as they once were: a change of any has to be meant.

Written anew by `python -m tests.pipelines.report.test_run_metrics`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from pipelines.evaluate.stored import load_metrics
from pipelines.promotion.stored import HoldoutFigures, Promotion, store_promotion
from pipelines.report.results import load_results
from pipelines.report.run_metrics import run_metrics, store_run_metrics
from tests.pipelines.evaluate.leaves import assert_alike
from tests.pipelines.report.run_folder import write_run

_GOLDEN: Final = Path(__file__).parent / "golden" / "metrics.json"

PROMOTED: Final = Promotion(
    model="tiny",
    run_id="a1b2c3d4",
    model_sha256="dd",
    outcome="promoted",
    why="no champion stands against it",
    by="flow",
    reason="",
    margin=0.0,
    entry=1,
    gate=HoldoutFigures("ga7e", 40, 9, look=1),
    champion=None,
    figures={},
    quality_drop=False,
    health=(),
    when="2026-11-23T01:02:03+00:00",
)


def stored(folder: Path) -> str:
    """The run folder, with one of its models promoted."""
    uri = write_run(folder)
    store_promotion(uri, PROMOTED)
    return uri


def content(folder: Path) -> Any:
    uri = store_run_metrics(load_results(stored(folder)))
    return json.loads(Path(uri).read_text("utf-8"))


def test_run_metrics_are_the_golden_ones(tmp_path: Path) -> None:
    # The probabilities are exponentials of 32 bits, which differ a little between machines.
    assert_alike(content(tmp_path), json.loads(_GOLDEN.read_text("utf-8")), rel=1e-5)


def test_run_metrics_hold_those_of_each_model_as_stored(tmp_path: Path) -> None:
    found = content(tmp_path)
    for name in ("preliminary", "tiny"):
        assert found["models"][name]["metrics"] == load_metrics(str(tmp_path / name))
    assert found["datasets"]["test"]["manifest_digest"] == "c0ffee"
    assert found["models"]["tiny"]["promotion"]["gate"] == {"digest": "ga7e", "look": 1}
    assert found["models"]["preliminary"]["promotion"] is None


def test_run_metrics_say_whether_published_figures_are_of_the_same_notes(tmp_path: Path) -> None:
    found = run_metrics(load_results(write_run(tmp_path)))["models"]
    assert found["preliminary"]["published"]["same_notes"] is False
    assert found["preliminary"]["published"]["accuracy"] == 0.410400390625
    assert found["tiny"]["published"] is None


if __name__ == "__main__":
    _GOLDEN.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        written = store_run_metrics(load_results(stored(Path(folder))))
        _GOLDEN.write_bytes(Path(written).read_bytes())
    sys.stdout.write(f"{_GOLDEN}\n")
