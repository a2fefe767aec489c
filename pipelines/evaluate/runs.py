"""Evaluation and comparison of whole runs, from what they stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import storage
from pipelines.errors import ConfigError, PipelineError
from pipelines.evaluate.comparison import Comparison, compare
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.stored import evaluate_again
from pipelines.layout import PREDICTIONS
from pipelines.registry.runs import RunRecord, load_run


@dataclass(frozen=True)
class RunPair:
    """A later run set against the first.

    Attributes:
      first: its run_id, as is `second`.
      comparisons: second minus first, by model; empty where there is nothing to subtract.
      note: why nothing was subtracted; empty where it was.
      is_readable: whether what the second run stored can be read.
    """

    first: str
    second: str
    comparisons: Mapping[str, Comparison]
    note: str
    is_readable: bool = True


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
            digest=model.predictions_digest,
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
    return {name: _compare(first, (first_uri, name), second, (second_uri, name)) for name in names}


def compare_with_first(run_uris: Sequence[str]) -> list[RunPair]:
    """Compare each later run with the first, as far as they have models and test notes in common.

    A later run that cannot be read says why in its note, and does not stop the others.

    Raises:
      ConfigError: the first is not a complete run.
      DatasetError: its record or its predictions are of another version, or damaged.
    """
    first = load_run(run_uris[0])
    for name in first.models:
        _predictions(first, run_uris[0], name)
    return [_pair(first.run_id, run_uris[0], uri) for uri in run_uris[1:]]


def _pair(first: str, first_uri: str, uri: str) -> RunPair:
    run_id = storage.name(uri)
    try:
        run_id = load_run(uri).run_id
        return RunPair(first, run_id, compare_runs(first_uri, uri), "")
    except ConfigError as err:
        # Runs that cannot be subtracted still stand beside each other.
        return RunPair(first, run_id, {}, str(err))
    except PipelineError as err:
        return RunPair(first, run_id, {}, str(err), is_readable=False)


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
        f"{smallest}, {other}": _compare(record, (run_uri, smallest), record, (run_uri, other))
        for other in others
    }


def _compare(
    first: RunRecord,
    first_place: tuple[str, str],
    second: RunRecord,
    second_place: tuple[str, str],
) -> Comparison:
    """Compare a model with another one, each in its run."""
    before, after = _predictions(first, *first_place), _predictions(second, *second_place)
    return compare(before, after, first.families)


def _predictions(record: RunRecord, run_uri: str, model: str) -> Predictions:
    uri = storage.join(run_uri, model, PREDICTIONS)
    return load_predictions(uri, digest=record.models[model].predictions_digest)
