import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.evaluate.scores import score
from pipelines.evaluate.summary import summarise
from pipelines.report.published import PUBLISHED, PublishedModel
from tests.pipelines.evaluate.tables import certain, drawn, table_of


@pytest.fixture(scope="module")
def notes() -> Predictions:
    return drawn(400)


@pytest.fixture(scope="module")
def summary(notes: Predictions) -> dict[str, Any]:
    return summarise(notes)


def test_summarise_is_of_the_kept_notes_and_beside_them_of_all(
    notes: Predictions, summary: dict[str, Any]
) -> None:
    kept = notes.take(notes.kept)
    assert 0 < len(kept) < len(notes)
    assert score(kept).to_dict().items() <= summary.items()
    assert summary["all_notes"] == score(notes).to_dict()


def test_summarise_sets_seen_and_unseen_instruments_apart(
    notes: Predictions, summary: dict[str, Any]
) -> None:
    kept = notes.take(notes.kept)
    assert summary["seen"] == score(kept.take(kept.instrument_seen)).to_dict()
    assert summary["unseen"] == score(kept.take(~kept.instrument_seen)).to_dict()
    assert summary["seen"]["num_scored"] + summary["unseen"]["num_scored"] == len(kept)


def test_summarise_says_by_null_that_no_instrument_is_unseen() -> None:
    assert summarise(drawn(60, instrument_seen=np.ones(60, bool)))["unseen"] is None


def test_summarise_is_json_of_a_known_format(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["format_version"], summary["evaluation_version"]) == (3, 3)
    assert summary["method"]["num_resamples"] >= 2_000
    assert summary["method"]["num_calibration_bins"] == 15


@pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_summarise_gives_the_published_figures(model: PublishedModel) -> None:
    matrix = np.array(model.confusion_matrix)
    labels, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices((10, 10)))
    found = summarise(from_table(table_of(certain(predicted), labels)))
    assert found["accuracy"] == model.accuracy
    assert found["confusion_matrix"] == [list(row) for row in model.confusion_matrix]
    for name, row in model.classification_report.items():
        printed = [float(f"{value:.2f}") for value in found["classification_report"][name]]
        assert tuple(printed) == row


def test_summarise_refuses_notes_of_which_none_is_kept() -> None:
    with pytest.raises(DatasetError, match="none of the 3 scored notes is kept; look at"):
        summarise(from_table(table_of(certain([0] * 3), [0] * 3, verdict=["silent"] * 3)))


def test_summarise_refuses_another_number_of_classes() -> None:
    with pytest.raises(DatasetError, match="expected predictions of 3 classes, found 10"):
        summarise(drawn(40), ("bass", "brass", "flute"))


def test_summarise_loads_no_framework() -> None:
    code = (
        "import sys, pipelines.evaluate.runs, pipelines.evaluate.summary\n"
        "print([m for m in ('keras', 'tensorflow', 'jax', 'torch', 'prefect', 'apache_beam') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
