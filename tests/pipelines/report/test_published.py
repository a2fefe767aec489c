import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from pipelines.notes import CLASSES, OFFICIAL_SPLITS
from pipelines.report.published import PUBLISHED, REPORT, PublishedModel

models = pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED.keys())


@models
def test_published_matrix_gives_the_published_accuracy(model: PublishedModel) -> None:
    matrix = np.array(model.confusion_matrix)
    assert matrix.sum() == REPORT.num_test_notes
    assert matrix.trace() / matrix.sum() == model.accuracy


@models
def test_published_matrix_gives_the_published_report_digit_by_digit(model: PublishedModel) -> None:
    matrix = np.array(model.confusion_matrix)
    true, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices((10, 10)))
    found = {
        family: values
        for family, *values in zip(
            REPORT.families,
            *precision_recall_fscore_support(true, predicted, zero_division=0),
            strict=True,
        )
    }
    for average in ("macro", "weighted"):
        values = precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
        found[f"{average} avg"] = [*values[:3], REPORT.num_test_notes]
    printed = {
        name: (*(float(f"{value:.2f}") for value in values[:3]), int(values[3]))
        for name, values in found.items()
    }
    assert printed == model.classification_report


@models
def test_published_layers_add_up(model: PublishedModel) -> None:
    assert sum(parameters for *_, parameters in model.layers) == model.num_parameters


@models
def test_published_rows_are_the_official_test_notes(model: PublishedModel) -> None:
    test = next(split for split in OFFICIAL_SPLITS if split.name == "test")
    assert REPORT.families == CLASSES
    assert [sum(row) for row in model.confusion_matrix] == [
        test.families[f] for f in REPORT.families
    ]
