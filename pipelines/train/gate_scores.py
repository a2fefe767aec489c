"""What a stored model makes of the notes of the gate, scored once and stored beside the gate.

<root>/registry/gate/<digest>/predictions/<sha256 of model.keras>.parquet
"""

import hashlib
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import (
    EVALUATION_VERSION,
    STAMP_KEY,
    Predictions,
    from_table,
)
from pipelines.parquet import open_parquet
from pipelines.registry.gate import Gate
from pipelines.train.batches import Notes
from pipelines.train.cache import cached_audio
from pipelines.train.evaluate import check_complete, predict, predictions_table
from pipelines.train.model_file import decode_model
from pipelines.train.split import labels_of
from pipelines.train.trained import load_trained_notes

log = logging.getLogger(__name__)


def score_gate(
    gate: Gate, model_uri: str, *, model_sha256: str, batch_size: int, cache_dir: Path
) -> Predictions:
    """The predictions of a model for all notes of the gate; stored ones are used again.

    Args:
      model_uri: the folder of the model in its run.
      model_sha256: of its model.keras.

    Raises:
      ConfigError: the model, or the data set of the gate's notes, is gone.
      DatasetError: either is not the one that it was, or not every note was scored.
    """
    uri = storage.join(gate.uri, "predictions", f"{model_sha256}.parquet")
    stamp = json.dumps({"evaluation_version": EVALUATION_VERSION, "models": [model_sha256]})
    if storage.exists(uri):
        with open_parquet(uri) as file:
            stored = file.read()
        if (stored.schema.metadata or {}).get(STAMP_KEY) == stamp.encode():
            return from_table(stored)
    data = storage.read(storage.join(model_uri, "model.keras"))
    if hashlib.sha256(data).hexdigest() != model_sha256:
        raise DatasetError(
            f"{model_uri}/model.keras is not the model that was asked for, of digest "
            f"{model_sha256[:12]}; restore it, or promote another run by hand"
        )
    log.info("scoring %s on %d notes of the gate", model_uri, gate.notes.num_rows)
    notes = _scorable(gate, model_uri)
    dataset = open_dataset(gate.manifest_uri)
    if dataset.manifest.manifest_digest != gate.manifest_digest:
        raise DatasetError(
            f"{gate.manifest_uri} is not the data set that the gate was taken from; convert its "
            "source again"
        )
    to_score = Notes(
        cached_audio(dataset, cache_dir), notes["row"].to_numpy(), notes["label"].to_numpy()
    )
    model = decode_model(data)
    probabilities = predict(model, to_score, batch_size=batch_size)
    check_complete(probabilities, num_notes=notes.num_rows, model=model.name)
    table = predictions_table(notes, probabilities)
    storage.put(uri, encode(table.replace_schema_metadata({STAMP_KEY: stamp})))
    return from_table(table)


def _scorable(gate: Gate, model_uri: str) -> pa.Table:
    """The columns of predictions that do not depend on answers."""
    trained = load_trained_notes(model_uri)
    met = trained.filter(pc.equal(trained["part"], "train"))["instrument_str"].unique()
    notes, num = gate.notes, gate.notes.num_rows
    seen = pc.is_in(notes["instrument_str"], pc.cast(met, pa.string()))
    return (
        notes.append_column("label", [labels_of(notes["instrument_family"].to_numpy())])
        .append_column("instrument_seen", seen)
        .append_column("verdict", pa.nulls(num, pa.string()))
        .append_column("fold", pa.nulls(num, pa.int64()))
    )
