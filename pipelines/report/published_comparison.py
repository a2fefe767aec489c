"""Comparison of a run with the published figures, in words.

A difference is given only where the same notes trained and tested the models, as far as counts can
show.
"""

from dataclasses import dataclass
from typing import Final

from pipelines.notes import OFFICIAL_SPLITS
from pipelines.report import published
from pipelines.report.findings import Place
from pipelines.report.formats import count
from pipelines.report.published import PUBLISHED
from pipelines.report.results import ModelResults, RunResults

NUM_VALID_NOTES: Final = next(of.num_notes for of in OFFICIAL_SPLITS if of.name == "valid")


def counts_as_official(run: RunResults, model: ModelResults) -> bool:
    """Whether as many notes of each family were scored as the official test split holds."""
    ours = dict(zip(run.families, map(sum, model.every.confusion_matrix), strict=True))
    matrix = published.PRELIMINARY.confusion_matrix
    return ours == dict(zip(published.FAMILIES, map(sum, matrix), strict=True))


def num_training_records(run: RunResults) -> int:
    """Records of the data set that trained, sound or not."""
    train = run.record.datasets["train"]
    return train.num_seen + train.num_quarantined


def difference(run: RunResults, model: ModelResults) -> float | None:
    """Our accuracy of all notes minus the published one; None where other notes are compared."""
    if model.published is None or not counts_as_official(run, model):
        return None
    if num_training_records(run) != NUM_VALID_NOTES:
        return None
    return model.every.accuracy - model.published.accuracy


def describe(run: RunResults) -> str:
    """How far our figures and the published ones compare; empty where none are published."""
    compared = [model for model in run.models if model.published]
    if not compared:
        return ""
    official, valid = count(published.NUM_TEST_NOTES), count(NUM_VALID_NOTES)
    if not all(counts_as_official(run, model) for model in compared):
        return (
            "Our figures and the published ones are of different notes: "
            f"{count(compared[0].every.num_scored)} test notes here, the official {official} "
            "there. They stand side by side for orientation; neither confirms nor refutes the "
            "other."
        )
    if num_training_records(run) != NUM_VALID_NOTES:
        return (
            f"By count our test set is the official one, {official} notes, but different notes "
            f"trained: {count(num_training_records(run))} records here, the {valid} of the valid "
            "split there. So no difference is drawn."
        )
    return (
        f"By count the test set is the official one, {official} notes, and the valid split trained "
        f"the models. Of all notes, ours minus published: {', '.join(map(_apart, compared))}; the "
        "interval takes the published accuracy for exact."
    )


def _apart(model: ModelResults) -> str:
    base = model.published.accuracy if model.published else 0.0
    points = f"{model.name} {100 * (model.every.accuracy - base):+.1f} points"
    ends = model.every.intervals.get("accuracy")
    if ends is None or model.every.too_few:
        return points
    return (
        f"{points} (95 % interval {100 * (ends[0] - base):+.1f} to {100 * (ends[1] - base):+.1f})"
    )


_VALIDATION_FRACTION: Final = 0.33


def departures(run: RunResults) -> list[str]:
    """What a run has otherwise than the reference, by count of its notes; empty where nothing."""
    experiment, num_train = run.record.experiment, num_training_records(run)
    found = []
    if not all(counts_as_official(run, model) for model in run.models):
        found.append(f"its test notes are not the official {count(published.NUM_TEST_NOTES)}")
    if num_train != NUM_VALID_NOTES:
        found.append(f"its {count(num_train)} training records are not the valid split")
    if experiment.protocol != "reference":
        found.append(f"its protocol is {experiment.protocol}")
    if experiment.epochs != published.NUM_EPOCHS:
        found.append(f"it has {count(experiment.epochs)} epochs, not {published.NUM_EPOCHS}")
    if experiment.validation_fraction != _VALIDATION_FRACTION or experiment.train_fraction < 1:
        found.append("its notes are split in other parts")
    return found


def describe_setting(run: RunResults) -> str:
    """What the verdicts of a run are about, in a sentence or two."""
    found = departures(run)
    if not found:
        return (
            "By count this run has the reference's own notes, split and epochs: its verdicts are "
            "about that setting; what the reference does not state, such as its optimiser, is ours."
        )
    return (
        f"The verdicts are about this run alone, not about the reference's setting: "
        f"{'; '.join(found)}."
    )


@dataclass(frozen=True)
class Counterpart:
    """A figure or table of the reference report.

    Attributes:
      figure: what it shows.
      place: the section that holds ours.
      title: of that section, and what of it.
      of: which models it is of here, or what is missing.
    """

    figure: str
    place: Place
    title: str
    of: str


_OF_NOTES: Final[tuple[tuple[str, Place, str], ...]] = (
    ("Waveform of a note", "note", "A note of each family"),
)
_OF_MODELS: Final[tuple[tuple[str, Place, str], ...]] = (
    ("Layers and parameters", "architectures", "Architectures"),
    ("Accuracy on the test notes", "result", "Result"),
    ("Curves of loss and accuracy in training", "training", "Training"),
    ("Confusion matrix", "evaluation", "Evaluation"),
    ("Classification report", "evaluation", "Evaluation, below the matrix"),
)
_OF_BOTH: Final[tuple[tuple[str, Place, str], ...]] = (
    ("Waveforms by class: true class above .9", "notes", "Notes worth hearing, first column"),
    ("Waveforms by class: true class below .1", "notes", "Notes worth hearing, second column"),
    ("Waveforms by class: true class just ahead", "notes", "Notes worth hearing, third column"),
    ("Waveforms by class: true class just behind", "notes", "Notes worth hearing, fourth column"),
)


def counterparts(run: RunResults, *, has_samples: bool) -> list[Counterpart]:
    """Each figure of the reference and where its counterpart is.

    Args:
      has_samples: whether the page could read the samples of the test notes.
    """
    models = _models(run)
    gone = "" if has_samples else "not drawn: the samples could not be read"
    named = f"{models}; {gone}" if gone else models
    return [
        *(Counterpart(*row, gone or "the first kept test note") for row in _OF_NOTES),
        *(Counterpart(*row, models) for row in _OF_MODELS),
        *(Counterpart(*row, named) for row in _OF_BOTH),
    ]


def _models(run: RunResults) -> str:
    """The models of the reference that a run has, and those that it lacks."""
    names = {model.name for model in run.models}
    held = [name for name in PUBLISHED if name in names]
    lacking = [f"this run has no {name}" for name in PUBLISHED if name not in names]
    return "; ".join(filter(None, [", ".join(held), *lacking]))
