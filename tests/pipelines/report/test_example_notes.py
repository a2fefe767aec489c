from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.report.example_notes import Cell, select_cells
from tests.pipelines.evaluate.tables import table_of

FAMILIES = ("bass", "brass", "flute")
RULES = ("sure", "missed", "ahead", "behind")


def predictions_of(
    probabilities: Sequence[Sequence[float]], *, dropped: Sequence[int] = ()
) -> Predictions:
    # All notes are basses; rows have gaps as those of scored notes have.
    values = np.array(probabilities, np.float64).reshape(-1, 3)
    num_notes = len(values)
    table = table_of(
        values.astype(np.float32),
        np.zeros(num_notes, np.int64),
        row=np.arange(num_notes) * 10,
        note_str=[f"note-{i}" for i in range(num_notes)],
        predicted=values.argmax(axis=1),
        verdict=pa.array(["silent" if i in dropped else None for i in range(num_notes)]),
    )
    return replace(from_table(table), probabilities=values)


def cell_of(rule: str, predictions: Predictions) -> Cell:
    return select_cells(predictions, FAMILIES, 0)[RULES.index(rule)]


@pytest.mark.parametrize(
    ("rule", "num_notes", "shown"),
    [
        ("sure", 4, ["note-1", "note-10", "note-0"]),
        ("missed", 2, ["note-4", "note-3"]),
        ("ahead", 2, ["note-6", "note-5"]),
        ("behind", 3, ["note-9", "note-8", "note-7"]),
    ],
)
def test_select_cells_shows_the_most_telling_first(
    rule: str, num_notes: int, shown: list[str]
) -> None:
    predictions = predictions_of(
        [
            [0.95, 0.03, 0.02],
            [0.99, 0.01, 0.00],
            [0.91, 0.05, 0.04],
            [0.08, 0.90, 0.02],
            [0.01, 0.90, 0.09],
            [0.48, 0.42, 0.10],
            [0.46, 0.44, 0.10],
            [0.42, 0.50, 0.08],
            [0.44, 0.10, 0.46],
            [0.45, 0.46, 0.09],
            [0.98, 0.01, 0.01],
        ]
    )
    found = cell_of(rule, predictions)
    assert (found.rule, found.num_notes) == (rule, num_notes)
    assert [pick.note_str for pick in found.picks] == shown
    assert found.nearest is None


def test_select_cells_names_the_best_other_class() -> None:
    (pick,) = cell_of("behind", predictions_of([[0.44, 0.10, 0.46]])).picks
    assert (pick.row, pick.other, pick.other_probability) == (0, "flute", 0.46)
    assert pick.margin == pytest.approx(-0.02)


def test_select_cells_gives_the_row_of_the_data_set() -> None:
    found = cell_of("sure", predictions_of([[0.2, 0.5, 0.3], [0.95, 0.03, 0.02]]))
    assert [pick.row for pick in found.picks] == [10]


@pytest.mark.parametrize(
    ("rule", "probabilities"),
    [
        ("sure", [0.9, 0.06, 0.04]),
        ("missed", [0.1, 0.8, 0.1]),
        ("ahead", [0.5, 0.375, 0.125]),
        ("behind", [0.375, 0.5, 0.125]),
    ],
)
def test_select_cells_leaves_out_what_only_reaches_the_threshold(
    rule: str, probabilities: list[float]
) -> None:
    found = cell_of(rule, predictions_of([probabilities]))
    assert (found.num_notes, found.picks) == (0, ())
    assert found.nearest is not None
    assert found.nearest.note_str == "note-0"


@pytest.mark.parametrize(
    ("rule", "nearest"),
    [("sure", "note-1"), ("missed", "note-2"), ("ahead", "note-0"), ("behind", "note-2")],
)
def test_select_cells_gives_what_came_nearest_where_none_qualifies(rule: str, nearest: str) -> None:
    predictions = predictions_of([[0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.2, 0.6, 0.2]])
    found = cell_of(rule, predictions)
    assert found.nearest is not None
    assert found.nearest.note_str == nearest


def test_select_cells_looks_across_the_boundary_where_a_side_is_empty() -> None:
    found = cell_of("behind", predictions_of([[0.8, 0.1, 0.1], [0.5, 0.46, 0.04]]))
    assert found.nearest is not None
    assert found.nearest.note_str == "note-1"
    assert found.nearest.margin == pytest.approx(0.04)


def test_select_cells_puts_a_tie_on_the_side_of_the_stored_prediction() -> None:
    # The first of equals is predicted: here the true class.
    predictions = predictions_of([[0.4, 0.4, 0.2]])
    assert cell_of("ahead", predictions).num_notes == 1
    assert cell_of("behind", predictions).num_notes == 0


def test_select_cells_keeps_equals_in_the_order_of_the_data_set() -> None:
    found = cell_of("sure", predictions_of([[1.0, 0.0, 0.0]] * 5))
    assert [pick.note_str for pick in found.picks] == ["note-0", "note-1", "note-2"]


def test_select_cells_considers_kept_notes_only() -> None:
    predictions = predictions_of([[0.99, 0.01, 0.0], [0.95, 0.03, 0.02]], dropped=[0])
    found = cell_of("sure", predictions)
    assert [pick.note_str for pick in found.picks] == ["note-1"]


def test_select_cells_of_a_class_without_notes_are_empty() -> None:
    for cell in select_cells(predictions_of([[0.9, 0.05, 0.05]]), FAMILIES, 1):
        assert (cell.num_notes, cell.picks, cell.nearest) == (0, (), None)
