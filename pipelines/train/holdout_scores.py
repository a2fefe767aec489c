"""What a stored model makes of the notes of the gate, scored once and stored beside the gate.

<root>/registry/gate/<digest>/predictions/<sha256 of model.keras>.parquet
"""

import hashlib
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.convert.shards.shard import encode
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import Predictions, add_stamp, from_table
from pipelines.evaluate.stored import gate_predictions, predictions_uri
from pipelines.registry.holdout import Holdout, check_notes
from pipelines.train.fitting.fit import check_complete, predict, predictions_table
from pipelines.train.model.architectures import decode_model
from pipelines.train.samples.batches import Notes
from pipelines.train.samples.cache import cached_audio
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.train.selection.split import class_labels

log = logging.getLogger(__name__)


def score_holdout(
    gate: Holdout, model_uri: str, *, model_sha256: str, batch_size: int, cache_dir: Path
) -> Predictions:
    """The predictions of a model for all notes of the gate; stored ones are used again.

    Args:
      model_uri: the folder of the model in its run.
      model_sha256: of its model.keras.

    Raises:
      ConfigError: the model, or the data set of the gate's notes, is gone.
      DatasetError: either is not the one that it was, or not every note was scored.
    """
    uri = predictions_uri(gate, model_sha256)
    if storage.exists(uri):
        try:
            return gate_predictions(gate, model_sha256)
        except PipelineError as err:
            log.warning("scoring on the gate again: %s", err)
    place = storage.join(model_uri, "model.keras")
    data = storage.read(place)
    if hashlib.sha256(data).hexdigest() != model_sha256:
        raise DatasetError(
            f"{place} is not the model that was asked for, of digest "
            f"{model_sha256[:12]}; restore it, or promote another run by hand"
        )
    log.info("scoring %s on %d notes of the gate", model_uri, gate.notes.num_rows)
    notes = _scorable(gate, model_uri)
    dataset = open_dataset(gate.manifest_uri)
    check_notes(gate, dataset)
    to_score = Notes(
        cached_audio(dataset, cache_dir), notes["row"].to_numpy(), notes["label"].to_numpy()
    )
    model = decode_model(data, uri=place)
    probabilities = predict(model, to_score, batch_size=batch_size)
    check_complete(probabilities, num_notes=notes.num_rows, model=model.name)
    table = predictions_table(notes, probabilities)
    storage.put(uri, encode(add_stamp(table, [model_sha256])))
    return from_table(table)


def _scorable(gate: Holdout, model_uri: str) -> pa.Table:
    """The columns of predictions that do not depend on answers."""
    trained = load_trained_notes(model_uri)
    met = trained.filter(pc.equal(trained["part"], "train"))["instrument_str"].unique()
    notes, num = gate.notes, gate.notes.num_rows
    seen = pc.is_in(notes["instrument_str"], pc.cast(met, pa.string()))
    return (
        notes.append_column("label", [class_labels(notes["instrument_family"].to_numpy())])
        .append_column("instrument_seen", seen)
        .append_column("verdict", pa.nulls(num, pa.string()))
        .append_column("fold", pa.nulls(num, pa.int64()))
    )
