"""What a run stored, read back and checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.evaluate.comparison import Difference, compare_overall
from pipelines.evaluate.metrics import accuracy, confusion_matrix
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.scores import Scores, Slice
from pipelines.evaluate.stored import read_metrics
from pipelines.layout import PREDICTIONS
from pipelines.promotion.stored import Promotion, load_promotion
from pipelines.registry.runs import RunRecord, load_history, load_run
from pipelines.report.published import PUBLISHED, Layer, PublishedModel


@dataclass(frozen=True)
class ModelResults:
    """One model of a run: its layers, its training history and its scores.

    Attributes:
      kept: of the test notes that validation kept.
      every: of all test notes with a usable label.
      seen: of the kept notes whose instrument the model was trained on; None without such notes.
      unseen: of the other kept notes, or None.
      slices: accuracy on parts of the kept notes, by the property that divides them.
      reliability: accuracy on the kept notes by confidence, from the least confident.
    """

    name: str
    num_parameters: int
    layers: Sequence[Layer]
    history: Mapping[str, Sequence[float]]
    kept: Scores
    every: Scores
    seen: Scores | None
    unseen: Scores | None
    slices: Mapping[str, Sequence[Slice]]
    reliability: Sequence[Slice]
    evaluation_version: int
    predictions: Predictions

    @property
    def published(self) -> PublishedModel | None:
        """Return the published figures of the model of this name, if it has any."""
        return PUBLISHED.get(self.name)


@dataclass(frozen=True)
class RunResults:
    """A complete run: its record, and its models from small to large."""

    uri: str
    record: RunRecord
    models: Sequence[ModelResults]

    @cached_property
    def gain(self) -> Difference:
        """Compare the accuracies of the smallest and the largest model; takes seconds, once.

        Raises:
          ConfigError: the two were not scored on the same notes.
        """
        first, last = self.models[0].predictions, self.models[-1].predictions
        return compare_overall(first, last).figures["accuracy"]

    @property
    def families(self) -> Sequence[str]:
        """Return the class names in label order."""
        return self.record.families


def load_results(run_uri: str) -> RunResults:
    """Read what the run stored.

    Raises:
      ConfigError: a file is missing.
      DatasetError: a format that this version does not read, or files that contradict each other.
    """
    record = load_run(run_uri)
    models = [_load_model(run_uri, record, name) for name in record.models]
    models.sort(key=lambda model: (model.num_parameters, model.name))
    return RunResults(run_uri, record, tuple(models))


def load_promotions(run: RunResults) -> Mapping[str, Promotion]:
    """Read the decisions on the models that were compared with a champion, by name."""
    found = {model.name: load_promotion(run.uri, model.name) for model in run.models}
    return {name: promotion for name, promotion in found.items() if promotion}


def _load_model(run_uri: str, record: RunRecord, name: str) -> ModelResults:
    uri, stored = storage.join(run_uri, name), record.models[name]
    metrics = read_metrics(uri)
    model = ModelResults(
        name=name,
        num_parameters=stored.num_parameters,
        layers=stored.layers,
        history=load_history(uri),
        kept=metrics,
        every=metrics.all_notes,
        seen=metrics.seen,
        unseen=metrics.unseen,
        slices=metrics.slices,
        reliability=metrics.reliability,
        evaluation_version=metrics.evaluation_version,
        predictions=load_predictions(
            storage.join(uri, PREDICTIONS), digest=stored.predictions_digest
        ),
    )
    _check(model, num_classes=len(record.families), uri=uri)
    return model


def _check(model: ModelResults, *, num_classes: int, uri: str) -> None:
    """Refuse predictions and metrics that are not of the same notes, classes and answers."""
    predictions = model.predictions
    found = (len(predictions), int(predictions.kept.sum()), predictions.num_classes)
    expected = (model.every.num_scored, model.kept.num_scored, num_classes)
    if found != expected:
        raise DatasetError(
            f"expected {expected[0]} notes, {expected[1]} of them kept, and {expected[2]} classes "
            f"in {uri}/predictions.parquet by its metrics.json and run.json, "
            f"found {found[0]}, {found[1]} and {found[2]}; evaluate the model again"
        )
    kept = predictions.take(predictions.kept)
    for scores, notes in ((model.kept, kept), (model.every, predictions)):
        matrix = confusion_matrix(notes.label, notes.predicted, num_classes)
        is_same = matrix.tolist() == [list(row) for row in scores.confusion_matrix]
        if not is_same or not math.isclose(scores.accuracy, accuracy(matrix), rel_tol=1e-9):
            raise DatasetError(
                f"{uri}/metrics.json does not have the answers of its predictions.parquet; "
                "evaluate the run again"
            )
