"""Where the page has what the reference report shows in figures and tables."""

from dataclasses import dataclass
from typing import Final

from pipelines.report.findings.claim import Place
from pipelines.report.published import PUBLISHED
from pipelines.report.results import RunResults


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
