"""The notes that predictions are scored on: those of a stored run, or of a data set."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.evaluate.predictions import (
    NOTE_COLUMNS,
    PREDICTIONS_SCHEMA,
    Predictions,
    load_predictions,
    read_predictions,
)
from pipelines.layout import PREDICTIONS
from pipelines.notes import CLASS_OF_FAMILY
from pipelines.registry.inventory import find_run, manifests_under
from pipelines.registry.runs import load_run
from pipelines.validate.verdicts import load_reasons, open_validated, validate

_OF_MODELS: Final = ("predicted", "probabilities")


def notes_of_run(run_uri: str) -> pa.Table:
    """Return the notes that the models of a run were scored on, as its protocol chose them.

    Returns:
      The columns of predictions that do not depend on a model, ordered by row.

    Raises:
      ConfigError: there is no such run.
      DatasetError: what it stored is damaged, or of another version.
    """
    record = load_run(run_uri)
    name, model = next(iter(record.models.items()))
    uri = storage.join(run_uri, name, PREDICTIONS)
    table = read_predictions(uri, digest=model.predictions_digest)
    return table.select(PREDICTIONS_SCHEMA.names).drop_columns(list(_OF_MODELS)).sort_by("row")


def notes_of_dataset(place: str) -> pa.Table:
    """Return the notes of a data set whose family is one of the classes, whatever their verdict.

    No model is known here, so that no instrument counts as seen.

    Args:
      place: a manifest.json, or the folder of a data set.

    Raises:
      ConfigError: there is no data set, or there are several.
    """
    manifests = manifests_under(place)
    if len(manifests) != 1:
        raise ConfigError(
            f"expected one data set in {place}, found {len(manifests)}; name its manifest.json"
        )
    validation = validate(manifests[0])
    notes = open_validated(validation).read([*NOTE_COLUMNS, "instrument_family"])
    families = notes["instrument_family"].to_pylist()
    labels = pa.array([CLASS_OF_FAMILY.get(family) for family in families], pa.int64())
    num = notes.num_rows
    columns = {
        "row": pa.array(np.arange(num)),
        **{name: notes[name] for name in NOTE_COLUMNS},
        "label": labels,
        "fold": pa.nulls(num, pa.int64()),
        "instrument_seen": pa.array(np.zeros(num, bool)),
        "verdict": pa.array(load_reasons(validation), pa.string()),
    }
    return pa.table(columns).filter(pc.is_valid(labels))


def model_predictions(root: str, named: str) -> dict[str, Predictions]:
    """Return the predictions of models of a run by `run:model`.

    Args:
      root: location that holds `runs/`.
      named: a run as `find_run` takes it; or a run, a colon and a model.

    Raises:
      ConfigError: there is no such run, or it has no such model.
    """
    run, _, model = named.rpartition(":") if _names_model(named) else (named, "", "")
    uri = find_run(root, run)
    record = load_run(uri)
    if model and model not in record.models:
        raise ConfigError(
            f"run {record.run_id} has no model {model!r}; it has {', '.join(record.models)}"
        )
    return {
        f"{record.run_id}:{name}": load_predictions(
            storage.join(uri, name, PREDICTIONS), digest=stored.predictions_digest
        )
        for name, stored in record.models.items()
        if model in ("", name)
    }


def _names_model(named: str) -> bool:
    """Return whether a text ends with a colon and a model, which a URI such as s3://b does not."""
    _, colon, model = named.rpartition(":")
    return bool(colon) and "/" not in model
