from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score

from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import from_table
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.submission import match_notes, read_submission, score_predictions
from pipelines.notes import CLASSES
from tests.pipelines.evaluate.tables import drawn_table

TABLE = drawn_table(120)
NOTES = TABLE.drop_columns(["predicted", "probabilities"])
PREDICTED = TABLE["predicted"].to_pylist()


def stored(path: Path, columns: dict[str, object]) -> str:
    pd.DataFrame(columns).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("answer", ["label", "family"])
def test_labels_by_name_in_any_order_have_the_accuracy_of_scikit_learn(
    tmp_path: Path, answer: str
) -> None:
    answers = PREDICTED if answer == "label" else [CLASSES[label] for label in PREDICTED]
    columns = {"note_str": NOTES["note_str"].to_pylist()[::-1], answer: answers[::-1]}
    submission = read_submission(stored(tmp_path / "p.csv", columns))
    predictions = match_notes(submission, NOTES)
    assert predictions.predicted.tolist() == PREDICTED
    kept = NOTES["verdict"].is_null().to_numpy()
    figures = score_predictions(predictions, knows_training=True)
    expected = accuracy_score(NOTES["label"].to_numpy()[kept], np.array(PREDICTED)[kept])
    assert figures["accuracy"] == pytest.approx(expected)
    assert not {"nll", "brier", "ece"} & (figures.keys() | figures["all_notes"].keys())


def test_a_stored_table_of_predictions_has_the_figures_of_its_model(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "predictions.parquet")
    predictions = match_notes(read_submission(str(tmp_path / "predictions.parquet")), NOTES)
    assert score_predictions(predictions, knows_training=True) == summarise(from_table(TABLE))


def test_probabilities_in_ten_columns_are_those_of_the_families(tmp_path: Path) -> None:
    shares = np.stack(TABLE["probabilities"].to_pylist())
    columns = {"row": range(120), **dict(zip(CLASSES, shares.T, strict=True))}
    predictions = match_notes(read_submission(stored(tmp_path / "p.csv", columns)), NOTES)
    assert predictions.probabilities == pytest.approx(shares, abs=1e-6)
    figures = score_predictions(predictions, knows_training=False)
    assert figures["nll"] > 0
    assert figures["unseen"] is None


def test_missing_doubled_and_unknown_notes_are_counted_in_one_sentence(tmp_path: Path) -> None:
    names = NOTES["note_str"].to_pylist()
    names[7], names[8], names[9] = names[0], "nobody", "nothing"
    place = stored(tmp_path / "p.csv", {"note_str": names, "label": PREDICTED})
    with pytest.raises(DatasetError) as err:
        match_notes(read_submission(place), NOTES)
    assert str(err.value) == (
        f"{place} should answer each of the 120 scored notes once: 3 are missing, such as "
        "note-00007, 1 is answered more than once, such as note-00000, 2 are not among them, such "
        "as nobody"
    )


def test_rows_that_the_data_set_names_otherwise_are_refused(tmp_path: Path) -> None:
    names = NOTES["note_str"].to_pylist()
    names[0], names[1] = names[1], names[0]
    columns = {"row": range(120), "note_str": names, "label": PREDICTED}
    submission = read_submission(stored(tmp_path / "p.csv", columns))
    with pytest.raises(
        DatasetError, match=r"gives 2 of 120 rows another name .* row 0: note-00001"
    ):
        match_notes(submission, NOTES)


def test_an_answer_counts_for_all_notes_of_a_name(tmp_path: Path) -> None:
    names = pa.array(["first", "first", *NOTES["note_str"].to_pylist()[2:]])
    notes = NOTES.set_column(NOTES.schema.get_field_index("note_str"), "note_str", names)
    columns = {"note_str": names.to_pylist()[1:], "label": [3, *PREDICTED[2:]]}
    found = match_notes(read_submission(stored(tmp_path / "p.csv", columns)), notes)
    assert found.predicted.tolist() == [3, 3, *PREDICTED[2:]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"label": [1]}, "names no notes: expected a column note_str or row, found label"),
        ({"row": [0], "colour": [1]}, "has no answers"),
        ({"row": [0, 1], "label": [3, 10]}, "1 of 2 rows have others, such as '10'"),
        ({"row": [0], "family": ["synth_lead"]}, "such as 'synth_lead'"),
        ({"row": [0.5], "label": [3]}, "a whole number in each row of the column row"),
        ({"row": [4], **{name: [0.2] for name in CLASSES}}, "with the sum 1 .* such as 4"),
        ({"row": [4], **{name: ["x"] for name in CLASSES}}, "not a number"),
    ],
)
def test_read_submission_refuses_in_one_sentence(
    tmp_path: Path, columns: dict[str, object], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        read_submission(stored(tmp_path / "p.csv", columns))


def test_read_submission_refuses_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match="neither a CSV table nor a Parquet file"):
        read_submission(str(tmp_path / "p.csv"))
