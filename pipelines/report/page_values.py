"""The values of a report's tables and captions, worked out once for HTML and Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from pipelines.evaluate.scores import Scores, Slice
from pipelines.experiment import Experiment
from pipelines.promotion.stored import Promotion
from pipelines.report import formats, published
from pipelines.report.drawing.balance import largest_share
from pipelines.report.example_notes import MISSED, SLIGHT, SURE, Cell, Pick
from pipelines.report.findings import tally
from pipelines.report.formats import NOTHING, plain, plural, probability, score, span
from pipelines.report.published_comparison import counterparts
from pipelines.report.report_data import ReportData
from pipelines.report.results import ModelResults, RunResults
from pipelines.validate.verdicts import Validation

SHOWN_SLICES: Final = {
    "source": "source",
    "velocity": "velocity",
    "pitch_octave": "MIDI pitches",
    "fundamental": "fundamental",
}
"""Of `pipelines.evaluate.scores`, what the page draws, and how it is called there."""

FIGURES: Final = (
    ("macro F1", "macro_f1"),
    ("weighted F1", "weighted_f1"),
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
)
"""Beside accuracy: what a figure is called, and its field of `Scores`."""


Choice = tuple[str, str]
"""What some notes are called, and the field of `ModelResults` that has their scores."""


def note_choices(run: RunResults) -> list[Choice]:
    """Kept notes, and their two parts where some are of seen instruments and others are not."""
    model = run.models[0]
    choices = [("kept notes", "kept")]
    if model.seen and model.unseen:
        choices += [("seen instruments", "seen"), ("unseen instruments", "unseen")]
    return choices


def accuracies(run: RunResults) -> list[tuple[str, str, str]]:
    """The accuracies of a run: what each is called, of which notes it is, and its figure."""
    (kept_notes, *parts) = note_choices(run)
    return [
        (f"accuracy, {kept_notes[0]}", kept_notes[1], "accuracy"),
        ("accuracy, mean of instruments", "kept", "instrument_accuracy"),
        *((f"accuracy, {title}", of, "accuracy") for title, of in parts),
        ("accuracy, all notes", "every", "accuracy"),
    ]


def shown_slices(model: ModelResults) -> dict[str, Sequence[Slice]]:
    """Return the kept notes by each property of `SHOWN_SLICES`."""
    return {name: model.slices[name] for name in SHOWN_SLICES}


def score_views(model: ModelResults) -> list[tuple[str, Scores | published.PublishedModel]]:
    """What stands side by side: kept notes, all notes where they are more, published ones."""
    num_kept, every = model.kept.num_scored, model.every.num_scored
    views: list[tuple[str, Scores | published.PublishedModel]] = []
    if num_kept == every:
        views.append((f"all notes ({formats.count(every)}), none dropped", model.every))
    else:
        views.append((f"kept notes ({formats.count(num_kept)})", model.kept))
        views.append((f"all notes ({formats.count(every)})", model.every))
    if model.published:
        title = f"published ({formats.count(published.NUM_TEST_NOTES)})"
        views.append((title, model.published))
    return views


Row = tuple[str, Sequence[int]]
"""A name, and a number a data set."""


def count_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """Notes seen, dropped by reason, and kept; then the records that never became notes."""
    sets = datasets.values()
    return [
        ("notes seen", [d.num_seen for d in sets]),
        *_rows("dropped: ", [d.dropped for d in sets]),
        ("notes kept", [d.num_kept for d in sets]),
        ("records quarantined", [d.num_quarantined for d in sets]),
    ]


def family_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """Kept notes by family."""
    return _rows("", [d.families for d in datasets.values()])


def most_confused(
    scores: Scores, families: Sequence[str], *, num: int = 5
) -> list[tuple[str, str, int, float]]:
    """The pairs that a model confuses most: true family, predicted one, notes, share of the true.

    Args:
      num: pairs at most; none has no note.
    """
    pairs = [
        (families[true], families[predicted], number, number / sum(row))
        for true, row in enumerate(scores.confusion_matrix)
        for predicted, number in enumerate(row)
        if number and true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:num]


def parameter_rows(experiment: Experiment) -> list[tuple[str, str]]:
    """Each parameter and its value in text."""
    return [(name, plain(value)) for name, value in experiment.to_dict().items()]


def _rows(prefix: str, counts: Sequence[Mapping[str, int]]) -> list[Row]:
    """A row a name that any data set has, by first appearance; who has it not counted none."""
    names: Iterable[str] = dict.fromkeys(name for of in counts for name in of)
    return [(prefix + name, [of.get(name, 0) for of in counts]) for name in names]


def section_values(story: ReportData, *, has_samples: bool) -> dict[str, Any]:
    """The values of all sections but those of notes to hear.

    Args:
      has_samples: whether the page could read the samples of the test notes.
    """
    return {
        "story": story,
        "run": story.run,
        "record": story.run.record,
        **_result(story),
        **_data(story),
        **_training(story),
        **_evaluation(story),
        **_claims(story, has_samples=has_samples),
        **_provenance(story),
    }


def _result(story: ReportData) -> dict[str, Any]:
    return {"accuracies": accuracies(story.run)}


def _data(story: ReportData) -> dict[str, Any]:
    datasets = story.run.record.datasets
    return {
        "counts": count_rows(datasets),
        "balance_limit": largest_share(of.families for of in datasets.values()),
    }


def _training(story: ReportData) -> dict[str, Any]:
    run = story.run
    return {
        "courses": [course(run, model) for model in run.models],
        "loss_limits": loss_limits(run),
    }


def _evaluation(story: ReportData) -> dict[str, Any]:
    run = story.run
    return {
        "choices": note_choices(run),
        "views": {model.name: score_views(model) for model in run.models},
        "slices": {model.name: shown_slices(model) for model in run.models},
        "reliability": {model.name: model.reliability for model in run.models},
        "confused": {model.name: most_confused(model.kept, run.families) for model in run.models},
    }


def _claims(story: ReportData, *, has_samples: bool) -> dict[str, Any]:
    return {
        "tally": tally(story.findings),
        "counterparts": counterparts(story.run, has_samples=has_samples),
    }


def _provenance(story: ReportData) -> dict[str, Any]:
    return {"experiment": parameter_rows(story.run.record.experiment)}


TITLES: Final = {
    "sure": f"p above {SURE}",
    "missed": f"p below {MISSED}",
    "ahead": f"ahead by less than {SLIGHT}",
    "behind": f"behind by less than {SLIGHT}",
}
"""Heads a cell, by its rule."""


def summarise(cell: Cell) -> str:
    """How many notes qualify; where none does, what came nearest."""
    if cell.num_notes:
        return plural(cell.num_notes, "note")
    if cell.nearest is None:
        return "no kept note of this family"
    p = probability(cell.nearest.true_probability)
    margin = cell.nearest.margin
    side = "behind" if margin < 0 else "ahead"
    away = probability(abs(margin))
    return {
        "sure": f"none above {SURE}; highest {p}",
        "missed": f"none below {MISSED}; lowest {p}",
        "ahead": f"none; nearest {side} by {away}",
        "behind": f"none; nearest {side} by {away}",
    }[cell.rule]


def caption(pick: Pick, family: str) -> str:
    """The true class and the best other one, with their probabilities."""
    true, other = probability(pick.true_probability), probability(pick.other_probability)
    return f"{family} {true}, {pick.other} {other}"


Limits = tuple[float, float]


@dataclass(frozen=True)
class Course:
    """How one model trained; with folds, over all of them.

    Attributes:
      stored_epochs: whose weights are stored, a training each.
      batch_size: notes a step; what ran.
      num_steps: of an epoch, from the fewest to the most of any fold.
      num_train: notes that trained, likewise.
      epoch_sec: seconds of an epoch: the median, the shortest and the longest.
      devices: that trained, by name, each once.
    """

    name: str
    num_epochs: int
    stored_epochs: tuple[int, ...]
    batch_size: int
    num_steps: tuple[int, int]
    num_train: tuple[int, int]
    epoch_sec: tuple[float, float, float]
    devices: tuple[str, ...]


def course(run: RunResults, model: ModelResults) -> Course:
    """The course of one model of a run."""
    trainings = run.record.models[model.name].trainings
    seconds = model.history["seconds"]
    steps = [of.num_steps for of in trainings]
    notes = [of.num_train for of in trainings]
    return Course(
        name=model.name,
        num_epochs=len(model.history["epoch"]),
        stored_epochs=tuple(of.stored_epoch for of in trainings),
        batch_size=trainings[0].batch_size,
        num_steps=(min(steps), max(steps)),
        num_train=(min(notes), max(notes)),
        epoch_sec=(median(seconds), min(seconds), max(seconds)),
        devices=tuple(dict.fromkeys(of.device for of in trainings)),
    )


def loss_limits(run: RunResults) -> Limits:
    """From 0 to a little above the highest loss of any model, so that their curves compare."""
    losses = [
        loss
        for model in run.models
        for name in ("loss", "val_loss")
        for loss in model.history[name]
        if math.isfinite(loss)
    ]
    return 0.0, 1.05 * max(losses, default=1.0) or 1.0


_TITLES: Final[Mapping[str, str]] = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
}


@dataclass(frozen=True)
class Change:
    """One figure on the gate, as the page shows it."""

    title: str
    champion: str
    challenger: str
    difference: str
    interval: str


def changes(promotion: Promotion) -> list[Change]:
    """What changes from the champion to the model; of a first model, its accuracy alone."""
    figures = promotion.figures
    if "accuracy" in figures:
        interval = span(figures["interval"], "{:.4f}")
        return [Change("accuracy", NOTHING, score(figures["accuracy"]), NOTHING, interval)]
    return [_change(_TITLES[name], of) for name, of in _compared(figures) if name in _TITLES]


def _compared(figures: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    found: Mapping[str, Mapping[str, Any]] = figures.get("figures", {})
    return list(found.items())


def _change(title: str, of: Mapping[str, Any]) -> Change:
    return Change(
        title,
        champion=score(of["first"]),
        challenger=score(of["second"]),
        difference=f"{of['difference']:+.4f}",
        interval=span(of["interval"], "{:+.4f}"),
    )
