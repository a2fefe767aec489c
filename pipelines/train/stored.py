"""What a run has stored of a model, found again only where it is whole."""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from pipelines import storage
from pipelines.errors import DatasetError, ShardError
from pipelines.evaluate.predictions import STAMP_KEY
from pipelines.notes import CLASSES
from pipelines.parquet import open_parquet
from pipelines.registry.runs import TrainingRecord
from pipelines.train.checkpoint import HISTORY_COLUMNS, History
from pipelines.train.plan import RunPlan

TRAINING: Final = "training.json"
"""Written last: where it is, all else that training stores is."""

HISTORY: Final = "history.json"

FORMAT_VERSION: Final = 2
"""Of training.json."""

log = logging.getLogger(__name__)


def stored_model(plan: RunPlan, name: str) -> bytes | None:
    """The stored model's file, None unless it is there, intact, and trained to the end."""
    training = stored_training(plan, name)
    if training is None or stored_history(plan, name) is None:
        return None
    model, labels = plan.model_uri(name, "model.keras"), plan.model_uri(name, "labels.json")
    if not (storage.exists(model) and storage.exists(labels)):
        return None
    data = storage.read(model)
    if hashlib.sha256(data).hexdigest() != training.model_sha256:
        log.warning("%s is damaged; it is trained again", model)
        return None
    if storage.read(labels) != to_json(list(CLASSES)):
        log.warning("%s is damaged; the model is trained again", labels)
        return None
    return data


def stored_training(plan: RunPlan, name: str) -> TrainingRecord | None:
    """The record of a model's training, None unless it is there and whole.

    Raises:
      DatasetError: it is of a format that this version does not read.
    """
    uri = plan.model_uri(name, TRAINING)
    if not storage.exists(uri):
        return None
    try:
        content = json.loads(storage.read(uri))
        found = content["format_version"]
        record = TrainingRecord.from_dict(content) if found == FORMAT_VERSION else None
    except (ValueError, KeyError, TypeError):
        log.warning("%s is damaged; the model is trained again", uri)
        return None
    if record is None:
        raise DatasetError(
            f"expected format_version {FORMAT_VERSION} in {uri}, found {found!r}; "
            "use the version of this project that wrote it"
        )
    return record


def stored_history(plan: RunPlan, name: str) -> History | None:
    """The stored history, None unless it is there and of all epochs."""
    uri = plan.model_uri(name, HISTORY)
    if not storage.exists(uri):
        return None
    try:
        history = json.loads(storage.read(uri))
        whole = all(len(history[column]) == plan.experiment.epochs for column in HISTORY_COLUMNS)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        log.warning("%s is damaged; the model is trained again", uri)
        return None
    return dict(history)


def stored_predictions(
    plan: RunPlan, name: str, notes: pa.Table, stamp: Mapping[str, Any]
) -> pa.Table | None:
    """The stored predictions, None unless they are of this model and of exactly these notes."""
    uri = plan.model_uri(name, "predictions.parquet")
    if not storage.exists(uri):
        return None
    try:
        with open_parquet(uri) as file:
            table = file.read()
        found = json.loads((table.schema.metadata or {}).get(STAMP_KEY, b"null"))
    except (ShardError, ValueError) as err:
        log.warning("%s; scoring again", err)
        return None
    if found != stamp or not table["row"].equals(notes["row"]):
        log.info("%s is of another model or version; scoring again", uri)
        return None
    return table


def to_json(content: Any) -> bytes:
    """The bytes of a JSON file, the same for the same content."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
