"""Predictions of a stored model for the held-out notes, made once and stored beside them.

<root>/registry/gate/<digest>/predictions/<sha256 of model.keras>.parquet
"""

import hashlib
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import Predictions, add_stamp, from_table, predictions_table
from pipelines.evaluate.stored import gate_predictions, predictions_uri
from pipelines.layout import MODEL
from pipelines.parquet import write_table
from pipelines.registry.holdout import Holdout, check_notes
from pipelines.train.fitting.fit import check_complete, predict
from pipelines.train.model.architectures import decode_model
from pipelines.train.samples.batches import Notes
from pipelines.train.samples.cache import cached_audio
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.train.selection.split import class_labels

log = logging.getLogger(__name__)


def score_holdout(
    holdout: Holdout, model_uri: str, *, model_sha256: str, batch_size: int, cache_dir: Path
) -> Predictions:
    """Return the predictions of a model for all held-out notes; reuse stored ones.

    Args:
      model_uri: folder of the model in its run.
      model_sha256: SHA-256 of its model.keras.

    Raises:
      ConfigError: the model, or the data set of the held-out notes, is gone.
      DatasetError: either is another one by now, or not every note was scored.
    """
    uri = predictions_uri(holdout, model_sha256)
    if storage.exists(uri):
        try:
            return gate_predictions(holdout, model_sha256)
        except PipelineError as err:
            log.warning("scoring on the held-out notes again: %s", err)
    place = storage.join(model_uri, MODEL)
    data = storage.read(place)
    if hashlib.sha256(data).hexdigest() != model_sha256:
        raise DatasetError(
            f"{place} is not the model that was asked for, of digest "
            f"{model_sha256[:12]}; restore it, or promote another run by hand"
        )
    log.info("scoring %s on %d held-out notes", model_uri, holdout.notes.num_rows)
    notes = _scorable(holdout, model_uri)
    dataset = open_dataset(holdout.manifest_uri)
    check_notes(holdout, dataset)
    to_score = Notes(
        cached_audio(dataset, cache_dir), notes["row"].to_numpy(), notes["label"].to_numpy()
    )
    model = decode_model(data, uri=place)
    probabilities = predict(model, to_score, batch_size=batch_size)
    check_complete(probabilities, num_notes=notes.num_rows, model=model.name)
    table = predictions_table(notes, probabilities)
    write_table(uri, add_stamp(table, [model_sha256]))
    return from_table(table)


def _scorable(holdout: Holdout, model_uri: str) -> pa.Table:
    """Return the columns of predictions that do not depend on a model's answers."""
    trained = load_trained_notes(model_uri)
    names = trained.filter(pc.equal(trained["part"], "train"))["instrument_str"].unique()
    notes, num = holdout.notes, holdout.notes.num_rows
    seen = pc.is_in(notes["instrument_str"], pc.cast(names, pa.string()))
    return (
        notes.append_column("label", [class_labels(notes["instrument_family"].to_numpy())])
        .append_column("instrument_seen", seen)
        .append_column("verdict", pa.nulls(num, pa.string()))
        .append_column("fold", pa.nulls(num, pa.int64()))
    )
