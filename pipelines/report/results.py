"""What a run stored, read back and checked: the only thing a report knows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.registry.runs import RunRecord, load_run
from pipelines.report.published import PUBLISHED, Layer, PublishedModel

METRICS_FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Predictions:
    """A model's answer for each scored note of the test data set.

    Attributes:
      row: int64 [num_notes], the note's place in the test data set.
      note_str: one a note.
      label: int64 [num_notes], the true class.
      predicted: int64 [num_notes], the class with the highest probability.
      kept: bool [num_notes], False where validation dropped the note.
      probabilities: float64 [num_notes, num_classes].
    """

    row: NDArray[np.int64]
    note_str: Sequence[str]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    kept: NDArray[np.bool_]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Metrics of one choice of test notes; the matrix holds counts, its rows the true classes."""

    accuracy: float
    num_scored: int
    confusion_matrix: Sequence[Sequence[int]]
    classification_report: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ModelResults:
    """One model of a run: what it is, how it trained, how it scored."""

    name: str
    num_parameters: int
    layers: Sequence[Layer]
    history: Mapping[str, Sequence[float]]
    kept: Scores
    every: Scores
    evaluation_version: int
    predictions: Predictions

    @property
    def published(self) -> PublishedModel | None:
        """The published figures of the model of this name, if it has any."""
        return PUBLISHED.get(self.name)


@dataclass(frozen=True)
class RunResults:
    """A complete run: its record, and its models from small to large."""

    record: RunRecord
    models: Sequence[ModelResults]

    @property
    def families(self) -> Sequence[str]:
        """The class names in label order."""
        return self.record.families


def load_results(run_uri: str) -> RunResults:
    """Reads what the run stored.

    Raises:
      ConfigError: a file is missing.
      DatasetError: a format that this version does not read, or files that contradict each other.
    """
    record = load_run(run_uri)
    models = [_load_model(run_uri, record, name) for name in record.models]
    models.sort(key=lambda model: (model.num_parameters, model.name))
    return RunResults(record, tuple(models))


def _load_model(run_uri: str, record: RunRecord, name: str) -> ModelResults:
    uri = storage.join(run_uri, name)
    metrics = _read_metrics(storage.join(uri, "metrics.json"))
    model = ModelResults(
        name=name,
        num_parameters=record.models[name].num_parameters,
        layers=tuple((kind, tuple(shape), num) for kind, shape, num in record.models[name].layers),
        history=json.loads(storage.read(storage.join(uri, "history.json"))),
        kept=_scores(metrics),
        every=_scores(metrics["all_notes"]),
        evaluation_version=metrics["evaluation_version"],
        predictions=_read_predictions(storage.join(uri, "predictions.parquet")),
    )
    _check(model, num_classes=len(record.families), uri=uri)
    return model


def _read_metrics(uri: str) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(storage.read(uri))
    if metrics.get("format_version") != METRICS_FORMAT_VERSION:
        raise DatasetError(
            f"expected format_version {METRICS_FORMAT_VERSION} in {uri}, found "
            f"{metrics.get('format_version')!r}; use the version of this project that wrote it"
        )
    return metrics


def _scores(metrics: Mapping[str, Any]) -> Scores:
    return Scores(
        accuracy=metrics["accuracy"],
        num_scored=metrics["num_scored"],
        confusion_matrix=metrics["confusion_matrix"],
        classification_report=metrics["classification_report"],
    )


def _read_predictions(uri: str) -> Predictions:
    table = pq.read_table(
        pa.BufferReader(storage.read(uri)),
        page_checksum_verification=True,
        columns=["row", "note_str", "label", "predicted", "verdict", "probabilities"],
    )
    lists = cast("pa.FixedSizeListArray[Any]", table["probabilities"].combine_chunks())
    probabilities = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return Predictions(
        row=table["row"].to_numpy(),
        note_str=[str(name) for name in table["note_str"].to_pylist()],
        label=table["label"].to_numpy(),
        predicted=table["predicted"].to_numpy(),
        kept=np.asarray(table["verdict"].is_null()),
        probabilities=probabilities.reshape(table.num_rows, lists.type.list_size),
    )


def _check(model: ModelResults, *, num_classes: int, uri: str) -> None:
    """Refuses predictions and metrics that are not of the same notes and classes."""
    predictions = model.predictions
    found = (len(predictions.row), int(predictions.kept.sum()), predictions.probabilities.shape[1])
    expected = (model.every.num_scored, model.kept.num_scored, num_classes)
    if found != expected:
        raise DatasetError(
            f"expected {expected[0]} notes, {expected[1]} of them kept, and {expected[2]} classes "
            f"in {uri}/predictions.parquet by its metrics.json and run.json, "
            f"found {found[0]}, {found[1]} and {found[2]}; evaluate the model again"
        )
