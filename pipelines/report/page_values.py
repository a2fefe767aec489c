"""The values of a report's tables and captions, for HTML and Markdown alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines.analysis.stored import StressPoint, StressSheet
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.stored import Metrics
from pipelines.experiment import Experiment
from pipelines.promotion.stored import Promotion
from pipelines.report.drawing.charts import note_milliseconds
from pipelines.report.example_notes import MISSED, SLIGHT, SURE, Cell, Pick
from pipelines.report.formats import (
    NOTHING,
    count,
    factor,
    figure_with_interval,
    plain,
    plural,
    probability,
    score,
    span,
)
from pipelines.report.published import REPORT, PublishedModel
from pipelines.report.results import ModelResults, RunResults
from pipelines.validate.verdicts import Validation

# The slices that a report shows, and what it calls them.
SLICE_TITLES: Final = {
    "source": "source",
    "velocity": "velocity",
    "pitch_octave": "MIDI pitches",
    "fundamental": "fundamental",
}

# The figures beside accuracy: what a report calls them, and their fields of `Scores`.
FIGURES: Final = (
    ("macro F1", "macro_f1"),
    ("weighted F1", "weighted_f1"),
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
)

CELL_TITLES: Final = {
    "sure": f"p above {SURE}",
    "missed": f"p below {MISSED}",
    "ahead": f"ahead by less than {SLIGHT}",
    "behind": f"behind by less than {SLIGHT}",
}

_CHANGE_TITLES: Final = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
}

# A name, and one number for each data set.
Row = tuple[str, Sequence[int]]


def note_choices(run: RunResults) -> list[tuple[str, str]]:
    """List choices of test notes: a title, and the field of `ModelResults` with their scores.

    Seen and unseen instruments are listed where there are notes of both.
    """
    model = run.models[0]
    choices = [("kept notes", "kept")]
    if model.seen and model.unseen:
        choices += [("seen instruments", "seen"), ("unseen instruments", "unseen")]
    return choices


def accuracies(run: RunResults) -> list[tuple[str, str, str]]:
    """List the accuracies of a run: a title, the choice of notes, and the field of `Scores`."""
    (kept_notes, *parts) = note_choices(run)
    return [
        (f"accuracy, {kept_notes[0]}", kept_notes[1], "accuracy"),
        ("accuracy, mean of instruments", "kept", "instrument_accuracy"),
        *((f"accuracy, {title}", choice, "accuracy") for title, choice in parts),
        ("accuracy, all notes", "every", "accuracy"),
    ]


def baseline_rows(
    baselines: Mapping[str, Metrics], accuracies: Sequence[tuple[str, str, str]]
) -> list[tuple[str, Sequence[str]]]:
    """List the baselines: the name of each, and one cell for each of the accuracies."""
    return [
        (
            name.replace("_", " "),
            [
                figure_with_interval(_choice(metrics, choice), figure)
                for _, choice, figure in accuracies
            ],
        )
        for name, metrics in baselines.items()
    ]


def _choice(metrics: Metrics, choice: str) -> Scores | None:
    """Return the scores of a choice of notes, as `ModelResults` calls them."""
    choices = {
        "kept": metrics,
        "every": metrics.all_notes,
        "seen": metrics.seen,
        "unseen": metrics.unseen,
    }
    return choices[choice]


# The kinds of change that have a curve, with the label of its axis.
STRESS_CURVES: Final = (
    ("delay", "milliseconds of delay"),
    ("noise", "signal to noise, dB"),
    ("gain", "gain, dB"),
)


def stress_rows(sheets: Mapping[str, StressSheet]) -> list[tuple[str, Sequence[str]]]:
    """List the changes of notes: the name of each, and one cell for each model."""
    points = zip(*(sheet.points for sheet in sheets.values()), strict=True)
    return [
        ("notes as they are", [_stress_cell(sheet) for sheet in sheets.values()]),
        *((changed[0].name, [_stress_cell(point) for point in changed]) for changed in points),
    ]


def _stress_cell(scored: StressSheet | StressPoint) -> str:
    return f"{score(scored.accuracy)} ({span(scored.interval, '{:.4f}')})"


def score_views(model: ModelResults) -> list[tuple[str, Scores | PublishedModel]]:
    """List what is shown side by side: kept notes, all notes where more, and published ones."""
    num_kept, num_all = model.kept.num_scored, model.every.num_scored
    views: list[tuple[str, Scores | PublishedModel]] = []
    if num_kept == num_all:
        views.append((f"all notes ({count(num_all)}), none dropped", model.every))
    else:
        views.append((f"kept notes ({count(num_kept)})", model.kept))
        views.append((f"all notes ({count(num_all)})", model.every))
    if model.published:
        views.append((f"published ({count(REPORT.num_test_notes)})", model.published))
    return views


def count_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """List notes seen, dropped by reason, and kept; then quarantined records."""
    sets = datasets.values()
    return [
        ("notes seen", [dataset.num_seen for dataset in sets]),
        *_rows("dropped: ", [dataset.dropped for dataset in sets]),
        ("notes kept", [dataset.num_kept for dataset in sets]),
        ("records quarantined", [dataset.num_quarantined for dataset in sets]),
    ]


def family_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """List kept notes by family."""
    return _rows("", [dataset.families for dataset in datasets.values()])


def _rows(prefix: str, counts: Sequence[Mapping[str, int]]) -> list[Row]:
    """Return one row for each name of any data set, by first appearance."""
    names: Iterable[str] = dict.fromkeys(name for numbers in counts for name in numbers)
    return [(prefix + name, [numbers.get(name, 0) for numbers in counts]) for name in names]


def most_confused(
    scores: Scores, families: Sequence[str], *, num: int = 5
) -> list[tuple[str, str, int, float]]:
    """List the pairs that are confused most: true, predicted, notes, share of the true family.

    Args:
      num: pairs at most; all have notes.
    """
    pairs = [
        (families[true], families[predicted], number, number / sum(row))
        for true, row in enumerate(scores.confusion_matrix)
        for predicted, number in enumerate(row)
        if number and true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:num]


def parameter_rows(experiment: Experiment) -> list[tuple[str, str]]:
    """List each parameter and its value in text."""
    return [(name, plain(value)) for name, value in experiment.to_dict().items()]


def cost_rows(cost: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """List training times: a row for each length, then the whole range and the exponent.

    Args:
      cost: the content of cost.json.

    Returns:
      The title of each row, and one cell for each model.
    """
    lengths, times, models = cost["lengths"], note_milliseconds(cost), cost["models"].values()
    by_length = zip(lengths, zip(*times.values(), strict=True), strict=True)
    return [
        *(
            (f"{count(samples)} samples", [f"{time:.2f} ms" for time in column])
            for samples, column in by_length
        ),
        (
            f"{count(lengths[-1])} against {count(lengths[0])}",
            [factor(values[-1] / values[0]) for values in times.values()],
        ),
        ("exponent", [f"{model['exponent']:.2f}" for model in models]),
        ("95 % interval", [span(model["interval"], "{:.2f}") for model in models]),
        ("steps timed of each", [count(len(model["seconds"])) for model in models]),
    ]


def loss_limits(run: RunResults) -> tuple[float, float]:
    """Return 0 and a little more than the highest loss of any model, so that curves compare."""
    losses = [
        loss
        for model in run.models
        for name in ("loss", "val_loss")
        for loss in model.history[name]
        if math.isfinite(loss)
    ]
    return 0.0, 1.05 * max(losses, default=1.0) or 1.0


def summarise_cell(cell: Cell) -> str:
    """Say how many notes qualify or, where none does, what came nearest."""
    if cell.num_notes:
        return plural(cell.num_notes, "note")
    if cell.nearest is None:
        return "no kept note of this family"
    if cell.rule in ("sure", "missed"):
        p = probability(cell.nearest.true_probability)
        return (
            f"none above {SURE}; highest {p}"
            if cell.rule == "sure"
            else (f"none below {MISSED}; lowest {p}")
        )
    side = "behind" if cell.nearest.margin < 0 else "ahead"
    return f"none; nearest {side} by {probability(abs(cell.nearest.margin))}"


def caption(pick: Pick, family: str) -> str:
    """Name the true family and the best other one, with their probabilities."""
    true, other = probability(pick.true_probability), probability(pick.other_probability)
    return f"{family} {true}, {pick.other} {other}"


@dataclass(frozen=True)
class Change:
    """One figure on the held-out notes, of a champion and of the model compared with it."""

    title: str
    champion: str
    challenger: str
    difference: str
    interval: str


def changes(promotion: Promotion) -> list[Change]:
    """List the changes from the champion to the model; of a first model, its accuracy alone."""
    figures = promotion.figures
    if "accuracy" in figures:
        interval = span(figures["interval"], "{:.4f}")
        return [Change("accuracy", NOTHING, score(figures["accuracy"]), NOTHING, interval)]
    return [
        Change(
            _CHANGE_TITLES[name],
            champion=score(figure["first"]),
            challenger=score(figure["second"]),
            difference=f"{figure['difference']:+.4f}",
            interval=span(figure["interval"], "{:+.4f}"),
        )
        for name, figure in figures.get("figures", {}).items()
        if name in _CHANGE_TITLES
    ]
