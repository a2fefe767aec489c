"""Predictions of a stored model for the held-out notes, made once and stored beside them.

<root>/registry/gate/<digest>/predictions/<sha256 of model.keras>.parquet
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines import storage
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import Predictions, add_stamp, from_table, predictions_table
from pipelines.evaluate.stored import gate_predictions, predictions_uri
from pipelines.layout import MODEL
from pipelines.parquet import write_table
from pipelines.registry.holdout import Holdout, check_notes
from pipelines.registry.runs import RunRecord, load_run
from pipelines.train.fitting.fit import check_complete, predict
from pipelines.train.model.architectures import decode_model
from pipelines.train.samples.batches import Notes
from pipelines.train.samples.cache import cached_audio
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.train.selection.split import class_labels
from pipelines.validate.verdicts import open_validated

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
    model = decode_model(data, uri=place)
    dataset, rows = _find_samples(holdout, model_uri, num_samples=model.input_shape[1])
    to_score = Notes(cached_audio(dataset, cache_dir), rows, notes["label"].to_numpy())
    probabilities = predict(model, to_score, batch_size=batch_size)
    check_complete(probabilities, num_notes=notes.num_rows, model=model.name)
    table = predictions_table(notes, probabilities)
    write_table(uri, add_stamp(table, [model_sha256]))
    return from_table(table)


def find_in_run(holdout: Holdout, run: RunRecord) -> tuple[Dataset, NDArray[np.int64]] | None:
    """Find the held-out notes in a data set that a run learned from; None where some are missing.

    Notes are the same if their original samples are, whatever length was kept of them.

    Returns:
      The data set, and the row of each note in it.
    """
    digests = holdout.notes["audio_digest"].to_pylist()
    for name in ("train", "valid"):
        if name not in run.datasets:
            continue
        dataset = open_validated(run.datasets[name])
        own = dataset.read(["audio_digest"])["audio_digest"].to_pylist()
        places = {digest: row for row, digest in enumerate(own)}
        if places.keys() >= set(digests):
            return dataset, np.array([places[digest] for digest in digests], np.int64)
    return None


def _find_samples(
    holdout: Holdout, model_uri: str, *, num_samples: int
) -> tuple[Dataset, NDArray[np.int64]]:
    """Return a data set with the held-out notes in the length of a model, and their rows in it.

    Raises:
      DatasetError: the notes are not stored in this length.
    """
    dataset = open_dataset(holdout.manifest_uri)
    check_notes(holdout, dataset)
    if dataset.num_samples == num_samples:
        return dataset, holdout.notes["row"].to_numpy()
    own = find_in_run(holdout, load_run(storage.parent(model_uri)))
    if own is None or own[0].num_samples != num_samples:
        raise DatasetError(
            f"the held-out notes are stored with {dataset.num_samples:,} samples each, and the "
            f"data of {model_uri}, which takes {num_samples:,}, do not hold all of them; train on "
            "a conversion of the same source"
        )
    return own


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
