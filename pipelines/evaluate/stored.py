"""The files of an evaluation: predictions.parquet, and metrics.json that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import (
    Predictions,
    from_table,
    load_predictions,
    read_predictions,
    read_stamp,
)
from pipelines.evaluate.scores import FORMAT_VERSION, Scores, Slice, summarise
from pipelines.layout import METRICS, PREDICTIONS
from pipelines.notes import CLASS_OF_FAMILY, CLASSES
from pipelines.records import Content, Count, check_name, read_content, to_json, validated
from pipelines.registry.holdout import Holdout

_KIND: Final = "the metrics of a model"
_MEND: Final = "evaluate the run again"
_OLDER: Final = "run the same training again, which scores again and retrains nothing"


@dataclass(frozen=True)
class Metrics(Scores):
    """The figures in metrics.json; those of `Scores` are of the kept notes."""

    model: str
    num_parameters: Count
    evaluation_version: Count
    all_notes: Scores
    seen: Scores | None
    unseen: Scores | None
    slices: Mapping[str, tuple[Slice, ...]]
    reliability: tuple[Slice, ...]


def evaluate_again(
    model_uri: str,
    *,
    model: str,
    num_parameters: int,
    families: Sequence[str] = CLASSES,
    digest: str | None = None,
) -> dict[str, Any]:
    """Compute metrics.json from the stored predictions; needs neither model nor audio.

    Args:
      model_uri: the folder of one model of a run.
      digest: of the predictions, as the record of the run has it.

    Returns:
      The content of metrics.json.

    Raises:
      ConfigError: there are no predictions.
      DatasetError: they are of another version, or were changed.
    """
    predictions = load_predictions(storage.join(model_uri, PREDICTIONS), digest=digest)
    figures = summarise(predictions, families)
    return store_metrics(model_uri, figures, model=model, num_parameters=num_parameters)


def store_metrics(
    model_uri: str, figures: Mapping[str, Any], *, model: str, num_parameters: int
) -> dict[str, Any]:
    """Write metrics.json unless the same is there already, and return its content."""
    content = {"model": model, "num_parameters": num_parameters, **figures}
    uri = storage.join(model_uri, METRICS)
    data = to_json(content)
    if not storage.exists(uri) or storage.read(uri) != data:
        storage.put(uri, data)
    return content


def load_metrics(model_uri: str) -> Content:
    """Read metrics.json as it is stored.

    Raises:
      ConfigError: there is none.
      DatasetError: it is of a format that this version does not read, or damaged.
    """
    return _load(model_uri)[0]


def read_metrics(model_uri: str) -> Metrics:
    """Read metrics.json as a value.

    Raises:
      PipelineError: see `load_metrics`.
    """
    return _load(model_uri)[1]


def _load(model_uri: str) -> tuple[Content, Metrics]:
    uri, versions = storage.join(model_uri, METRICS), (2, FORMAT_VERSION)
    content = read_content(uri, what=_KIND, mend=_MEND, versions=versions, older=_OLDER)
    return content, validated(content, Metrics, uri=uri, what=_KIND, mend=_MEND)


def predictions_uri(gate: Holdout, model_sha256: str) -> str:
    """Return where the predictions of a model for the notes of a holdout are stored."""
    return storage.join(gate.uri, "predictions", f"{check_name(model_sha256)}.parquet")


def gate_predictions(gate: Holdout, model_sha256: str) -> Predictions:
    """Read the predictions of a model for the notes of a holdout.

    Raises:
      PipelineError: there are none, they are damaged or were changed, or of another model or notes.
    """
    uri = predictions_uri(gate, model_sha256)
    table = read_predictions(uri)
    names = [name for name in gate.notes.column_names if name in table.column_names]
    is_same = table.select(names).equals(gate.notes.select(names))
    families = gate.notes["instrument_family"].to_pylist()
    label = [CLASS_OF_FAMILY.get(family) for family in families]
    if (
        read_stamp(table).get("models") != [model_sha256]
        or not is_same
        or table["label"].to_pylist() != label
        or table["verdict"].null_count < table.num_rows
    ):
        raise DatasetError(f"{uri} is of another model or of other notes; promote the run again")
    return from_table(table, name=uri)
