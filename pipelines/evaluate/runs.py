"""Evaluation and comparison of whole runs, from what they stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.evaluate.comparison import Comparison, compare
from pipelines.evaluate.predictions import load_predictions
from pipelines.evaluate.stored import PREDICTIONS, evaluate_again
from pipelines.registry.runs import RunRecord, load_run


@dataclass(frozen=True)
class RunPair:
    """A later run set against the first.

    Attributes:
      first: its run_id, as is `second`.
      comparisons: second minus first, by model; empty where there is nothing to subtract.
      note: why nothing was subtracted; empty where it was.
    """

    first: str
    second: str
    comparisons: Mapping[str, Comparison]
    note: str


def evaluate_run(run_uri: str) -> dict[str, dict[str, Any]]:
    """Computes the metrics of each model of a run anew; gives the content of metrics.json by model.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: the predictions are of another version.
    """
    record = load_run(run_uri)
    return {
        name: evaluate_again(
            storage.join(run_uri, name),
            model=name,
            num_parameters=model.num_parameters,
            families=record.families,
        )
        for name, model in record.models.items()
    }


def compare_runs(first_uri: str, second_uri: str) -> dict[str, Comparison]:
    """Compares the models of one name in two runs; named by it.

    Raises:
      ConfigError: no model has one name in both, or they were not scored on the same notes.
      DatasetError: the predictions are of another version.
    """
    first, second = load_run(first_uri), load_run(second_uri)
    names = [name for name in first.models if name in second.models]
    if not names:
        raise ConfigError(
            f"run {first.run_id} has {', '.join(first.models)} and run {second.run_id} has "
            f"{', '.join(second.models)}; compare runs that have a model in common"
        )
    return {name: _compare(first, (first_uri, name), (second_uri, name)) for name in names}


def compare_with_first(run_uris: Sequence[str]) -> list[RunPair]:
    """Compares each later run with the first, as far as they have models and test notes in common.

    Raises:
      ConfigError: one of them is no complete run.
      DatasetError: its record or its predictions are of another version, or damaged.
    """
    ids = [load_run(uri).run_id for uri in run_uris]
    pairs = []
    for uri, run_id in zip(run_uris[1:], ids[1:], strict=True):
        try:
            found, note = compare_runs(run_uris[0], uri), ""
        except ConfigError as err:
            # Runs that cannot be subtracted still stand beside each other.
            found, note = {}, str(err)
        pairs.append(RunPair(ids[0], run_id, found, note))
    return pairs


def compare_models(run_uri: str) -> dict[str, Comparison]:
    """Compares the smallest model of a run with each other one; named by the two.

    Raises:
      ConfigError: the run has one model only.
      DatasetError: the predictions are of another version.
    """
    record = load_run(run_uri)
    # By name where they are equally large, as in reports.
    sizes = {name: (model.num_parameters, name) for name, model in record.models.items()}
    smallest, *others = sorted(sizes, key=sizes.__getitem__)
    if not others:
        raise ConfigError(
            f"run {record.run_id} has one model only, {smallest}; name a second run to compare with"
        )
    return {
        f"{smallest}, {other}": _compare(record, (run_uri, smallest), (run_uri, other))
        for other in others
    }


def _compare(record: RunRecord, first: tuple[str, str], second: tuple[str, str]) -> Comparison:
    before, after = (
        load_predictions(storage.join(*place, PREDICTIONS)) for place in (first, second)
    )
    return compare(before, after, record.families)
