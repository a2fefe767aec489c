"""A model of a run by its small files alone, for pages over many runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.stored import load_metrics
from pipelines.layout import HISTORY
from pipelines.registry.runs import load_history

COURSES: Final = ("val_loss", "val_accuracy")


@dataclass(frozen=True)
class BriefModel:
    """One model of a run.

    Attributes:
      kept: of the test notes that validation kept.
      history: `COURSES` by epoch, and `epoch`; without those that the run does not keep.
    """

    name: str
    kept: Scores
    history: Mapping[str, Sequence[float]]


def load_brief(run_uri: str, name: str) -> BriefModel:
    """Reads metrics and history of a model of a run.

    Raises:
      ConfigError: there are no metrics.
      DatasetError: one of the two is damaged, or of a format that this version does not read.
    """
    uri = storage.join(run_uri, name)
    history = {}
    if storage.exists(storage.join(uri, HISTORY)):
        history = load_history(uri, columns=("epoch",))
    courses = {key: history[key] for key in ("epoch", *COURSES) if history.get(key)}
    return BriefModel(name, Scores.from_dict(load_metrics(uri)), courses)
