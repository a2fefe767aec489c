import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import PREDICTIONS_SCHEMA, predictions_table
from pipelines.experiment import Experiment
from pipelines.train.fitting.fit import check_complete, predict
from pipelines.train.model.architectures import build
from pipelines.train.samples.batches import Notes
from tests.pipelines.train.tiny import tone


def test_predict_scores_every_note_in_order() -> None:
    audio = np.stack([tone(number, "bass") for number in range(7)])
    model = build("preliminary", Experiment())
    rows = np.array([6, 0, 3, 4, 5])
    found = predict(model, Notes(audio, rows, np.zeros(5, np.int64)), batch_size=2)
    expected = model.predict(audio[rows][:, :, np.newaxis], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 10), (5, 10), (4, 11), (0, 10)])
def test_check_complete_refuses_other_than_all_notes(shape: tuple[int, int]) -> None:
    message = f"expected 4 predictions of 10 classes from optimised, got {shape[0]} x {shape[1]}"
    with pytest.raises(DatasetError, match=message):
        check_complete(np.zeros(shape, np.float32), num_notes=4, model="optimised")


def test_check_complete_refuses_what_is_no_probability() -> None:
    probabilities = np.full((4, 10), 0.1, np.float32)
    check_complete(probabilities, num_notes=4, model="optimised")
    probabilities[2, 5] = np.nan
    with pytest.raises(DatasetError, match="no finite probabilities for 1 of 4 test notes"):
        check_complete(probabilities, num_notes=4, model="optimised")


def test_predictions_table_adds_the_likeliest_class() -> None:
    notes = pa.table(
        {
            "row": [4, 7],
            "note_str": ["a", "b"],
            "instrument": [3, 5],
            "instrument_str": ["x", "y"],
            "instrument_source": [0, 0],
            "instrument_source_str": ["acoustic", "acoustic"],
            "instrument_seen": [True, False],
            "pitch": [60, 61],
            "velocity": [100, 100],
            "audio_digest": ["c0ffee", "decade"],
            "label": [3, 9],
            "verdict": pa.array([None, "silent"], pa.string()),
            "fold": pa.array([1, 2], pa.int64()),
        }
    )
    probabilities = np.eye(10, dtype=np.float32)[[3, 0]]
    table = predictions_table(notes, probabilities)
    assert table.schema == PREDICTIONS_SCHEMA
    assert table["predicted"].to_pylist() == [3, 0]
    assert table["verdict"].to_pylist() == [None, "silent"]
    assert table["probabilities"].to_pylist() == probabilities.tolist()
