"""Comparison of a run with the reference report, in words.

A difference from the published figures is given only where the same notes trained and tested the
models, as far as counts can show.
"""

from dataclasses import dataclass
from typing import Final

from pipelines.notes import OFFICIAL_SPLITS
from pipelines.report.formats import count, plural
from pipelines.report.published import PUBLISHED, REPORT, Place
from pipelines.report.results import ModelResults, RunResults

NUM_VALID_NOTES: Final = next(split.num_notes for split in OFFICIAL_SPLITS if split.name == "valid")
_TEST_NOTES: Final = dict(
    zip(REPORT.families, map(sum, PUBLISHED["preliminary"].confusion_matrix), strict=True)
)


@dataclass(frozen=True)
class Counterpart:
    """A figure or table of the reference report, and where a page has the like.

    Attributes:
      title: of the section, and which part of it.
      models: which models the page draws it for, or what is missing.
    """

    figure: str
    place: Place
    title: str
    models: str


def counts_as_official(run: RunResults, model: ModelResults) -> bool:
    """Return whether as many notes of each family were scored as the official test split has."""
    matrix = model.every.confusion_matrix
    return dict(zip(run.families, map(sum, matrix), strict=True)) == _TEST_NOTES


def num_training_records(run: RunResults) -> int:
    """Return the number of records of the training data, including quarantined ones."""
    train = run.record.datasets["train"]
    return train.num_seen + train.num_quarantined


def difference(run: RunResults, model: ModelResults) -> float | None:
    """Return our accuracy on all notes minus the published one; None where notes differ."""
    if model.published is None or not counts_as_official(run, model):
        return None
    if num_training_records(run) != NUM_VALID_NOTES:
        return None
    return model.every.accuracy - model.published.accuracy


def describe(run: RunResults) -> str:
    """Say how far our figures and the published ones compare; nothing where none are published."""
    compared = [model for model in run.models if model.published]
    if not compared:
        return ""
    official, valid = count(REPORT.num_test_notes), count(NUM_VALID_NOTES)
    if not all(counts_as_official(run, model) for model in compared):
        return (
            "Our figures and the published ones are of different notes: "
            f"{plural(compared[0].every.num_scored, 'test note')} here, the official {official} "
            "there. They are shown side by side for orientation; neither confirms nor refutes the "
            "other."
        )
    if num_training_records(run) != NUM_VALID_NOTES:
        return (
            f"By count our test set is the official one, {official} notes, but different notes "
            f"trained: {plural(num_training_records(run), 'record')} here, the {valid} of the "
            "valid split there. So no difference is given."
        )
    return (
        f"By count the test set is the official one, {official} notes, and the valid split trained "
        f"the models. Of all notes, ours minus published: {', '.join(map(_points, compared))}; the "
        "interval takes the published accuracy for exact."
    )


def _points(model: ModelResults) -> str:
    base = model.published.accuracy if model.published else 0.0
    points = f"{model.name} {100 * (model.every.accuracy - base):+.1f} points"
    ends = model.every.intervals.get("accuracy")
    if ends is None or model.every.too_few:
        return points
    return (
        f"{points} (95 % interval {100 * (ends[0] - base):+.1f} to {100 * (ends[1] - base):+.1f})"
    )


def departures(run: RunResults) -> list[str]:
    """List what a run does otherwise than the reference, by count of its notes."""
    experiment, num_train = run.record.experiment, num_training_records(run)
    checks = [
        (
            all(counts_as_official(run, model) for model in run.models),
            f"its test notes are not the official {count(REPORT.num_test_notes)}",
        ),
        (
            num_train == NUM_VALID_NOTES,
            f"its {plural(num_train, 'training record')} are not the valid split",
        ),
        (experiment.protocol == "reference", f"its protocol is {experiment.protocol}"),
        (
            experiment.epochs == REPORT.num_epochs,
            f"it has {plural(experiment.epochs, 'epoch')}, not {REPORT.num_epochs}",
        ),
        (
            experiment.validation_fraction == REPORT.validation_fraction
            and experiment.train_fraction == 1,
            "its notes are split in other parts",
        ),
    ]
    return [words for is_same, words in checks if not is_same]


def describe_setting(run: RunResults) -> str:
    """Say what the verdicts of a run on the findings are about, in a sentence or two."""
    found = departures(run)
    if not found:
        return (
            "By count this run has the reference's own notes, split and epochs: its verdicts are "
            "about that setting; what the reference does not state, such as its optimiser, is ours."
        )
    return (
        "The verdicts are about this run alone, not about the reference's setting: "
        f"{'; '.join(found)}."
    )


def counterparts(run: RunResults, *, has_samples: bool) -> list[Counterpart]:
    """List each figure of the reference and where a page has the like.

    Args:
      has_samples: whether the samples of the test notes could be read.
    """
    names = {model.name for model in run.models}
    held = ", ".join(name for name in PUBLISHED if name in names)
    lacking = [f"this run has no {name}" for name in PUBLISHED if name not in names]
    models = "; ".join(filter(None, [held, *lacking]))
    gone = "" if has_samples else "not drawn: the samples could not be read"
    scopes = {
        "note": gone or "the first kept test note",
        "models": models,
        "waveforms": f"{models}; {gone}" if gone else models,
    }
    return [
        Counterpart(entry.figure, entry.place, entry.title, scopes[entry.scope])
        for entry in REPORT.figures
    ]
