"""Two models on the same notes: how much the second is better, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipelines import storage
from pipelines.errors import ConfigError, PipelineError
from pipelines.evaluate import metrics
from pipelines.evaluate.bootstrap import Interval, interval, resample_kinds
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.scores import instrument_accuracy, is_too_few
from pipelines.evaluate.stored import evaluate_again
from pipelines.layout import PREDICTIONS
from pipelines.notes import CLASSES
from pipelines.registry.runs import RunRecord, load_run

FORMAT_VERSION: Final = 1

# Stored beside each result of McNemar's test: notes of one instrument are alike, so it is too sure.
CAVEAT: Final = "treats notes as independent"


@dataclass(frozen=True)
class Difference:
    """A figure of two models.

    Attributes:
      difference: second minus first.
      interval: of 95 %, paired; None where notes are too few or the models never differ.
    """

    first: float
    second: float
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class McNemar:
    """Result of the exact test of whether two models are wrong equally often; see `CAVEAT`.

    Attributes:
      only_first: notes that the first model has right and the second wrong.
      only_second: the reverse.
      p_value: two-sided.
    """

    only_first: int
    only_second: int
    p_value: float
    caveat: str = CAVEAT


@dataclass(frozen=True)
class Part:
    """Both models on some of the notes.

    Attributes:
      figures: accuracy, instrument_accuracy and, of all families together, macro_f1; without
        intervals where notes or instruments are too few, and of a family then empty.
    """

    num_notes: int
    num_instruments: int
    too_few: bool
    figures: Mapping[str, Difference]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same notes: all of them, and the notes of each family."""

    every: Part
    families: Mapping[str, Part]
    mcnemar: McNemar

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON has it."""
        head = {"format_version": FORMAT_VERSION, **asdict(self.every)}
        families = {family: asdict(part) for family, part in self.families.items()}
        return head | {"families": families, "mcnemar": asdict(self.mcnemar)}


def compare(
    first: Predictions, second: Predictions, families: Sequence[str] = CLASSES
) -> Comparison:
    """Compare two models on the notes that validation kept for both.

    Raises:
      ConfigError: the two did not score the same notes, or none is kept.
    """
    first, second = pair_notes(first, second)
    return Comparison(
        every=_part(first, second),
        families={
            families[label]: _family(
                first.take(first.label == label), second.take(first.label == label)
            )
            for label in np.unique(first.label)
        },
        mcnemar=mcnemar(first.correct, second.correct),
    )


def compare_overall(first: Predictions, second: Predictions) -> Part:
    """Compare two models on all notes that validation kept for both, and on no part of them.

    Raises:
      ConfigError: see `compare`.
    """
    return _part(*pair_notes(first, second))


def pair_notes(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Return both in the same order of notes, without notes that are not kept for both.

    Notes are matched by the digest of their samples and by their name, so that the two may come
    from different conversions of one source.

    Raises:
      ConfigError: see `compare`.
    """
    first, second = _ordered(first), _ordered(second)
    if not _are_same_notes(first, second):
        raise ConfigError(
            f"the two were not scored on the same notes ({len(first)} and {len(second)} of them); "
            "compare runs with the same test data"
        )
    kept = first.kept & second.kept
    if not kept.any():
        raise ConfigError("no note is kept for both; look at the reasons of the validation")
    return first.take(kept), second.take(kept)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Test whether two models are wrong equally often, from which notes each has right.

    Args:
      first: bool [num_notes]; `second` is of the same notes.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions
    or percentages", 1947.
    """
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    discordant = only_first + only_second
    # Without a note on which they differ there is nothing to test.
    p_value = stats.binomtest(only_first, discordant).pvalue if discordant else 1.0
    return McNemar(only_first, only_second, float(p_value))


def _ordered(notes: Predictions) -> Predictions:
    names, digests = notes.note_str.astype(str), notes.audio_digest.astype(str)
    return notes.take(np.lexsort((notes.row, names, digests)))


def _are_same_notes(first: Predictions, second: Predictions) -> bool:
    columns = ("audio_digest", "note_str", "label")
    return first.num_classes == second.num_classes and all(
        np.array_equal(getattr(first, column), getattr(second, column)) for column in columns
    )


def _part(first: Predictions, second: Predictions) -> Part:
    instrument = first.instrument
    num_instruments = int(instrument.max()) + 1
    too_few = is_too_few(len(first), num_instruments)
    before, after = _values(first, instrument), _values(second, instrument)
    samples = {} if too_few else _resampled(first, second, instrument)
    ends = {name: interval(values, num_instruments) for name, values in samples.items()}
    figures = {
        name: Difference(before[name], after[name], after[name] - before[name], ends.get(name))
        for name in before
    }
    return Part(len(first), num_instruments, too_few, figures)


def _family(first: Predictions, second: Predictions) -> Part:
    """Compare on the notes of one family, which have no macro F1."""
    part = _part(first, second)
    figures = {} if part.too_few else dict(part.figures)
    figures.pop("macro_f1", None)
    return replace(part, figures=figures)


def _values(notes: Predictions, instrument: NDArray[np.int64]) -> dict[str, float]:
    matrix = metrics.confusion_matrix(notes.label, notes.predicted, notes.num_classes)
    return {
        "accuracy": float(metrics.accuracy(matrix)),
        "instrument_accuracy": instrument_accuracy(instrument, notes.correct),
        "macro_f1": float(metrics.macro_f1(matrix)),
    }


def _resampled(
    first: Predictions, second: Predictions, instrument: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return differences in resamples that draw a note with both its predictions."""
    num = first.num_classes
    pairs = np.stack(
        [
            metrics.cells(first.label, first.predicted, num),
            metrics.cells(second.label, second.predicted, num),
        ]
    )
    # A kind of note: its true class and both predicted ones, [2, num_kinds].
    kinds, kind = np.unique(pairs, axis=1, return_inverse=True)
    resampled = resample_kinds(instrument, kind.reshape(-1), kinds.shape[1])
    # Exact as floats, whose products are many times faster than those of integers.
    totals = resampled.totals.astype(np.float64)
    found = []
    for cells in kinds:
        matrices = (totals @ np.eye(num * num)[cells]).reshape(-1, num, num)
        right = cells % (num + 1) == 0
        found.append(
            {
                "accuracy": metrics.accuracy(matrices),
                "instrument_accuracy": resampled.shares[:, right].sum(axis=1),
                "macro_f1": metrics.macro_f1(matrices),
            }
        )
    return {name: found[1][name] - found[0][name] for name in found[0]}


@dataclass(frozen=True)
class RunPair:
    """A later run compared with the first.

    Attributes:
      first: a run_id, as is `second`.
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
    """Compute the metrics of each model of a run again; returns metrics.json by model.

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
    """Compare the models of one name in two runs, by that name.

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
        # Runs that cannot be subtracted are still shown side by side.
        return RunPair(first, run_id, {}, str(err))
    except PipelineError as err:
        return RunPair(first, run_id, {}, str(err), is_readable=False)


def compare_models(run_uri: str) -> dict[str, Comparison]:
    """Compare the smallest model of a run with each other one, by both names.

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
