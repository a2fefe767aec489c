"""Whether a run has the reference report's own setting: else its verdicts are of itself alone."""

from typing import Final

from pipelines.report import published
from pipelines.report.comparison import (
    NUM_VALID_NOTES,
    counts_as_official,
    num_training_records,
)
from pipelines.report.formats import count
from pipelines.report.results import RunResults

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


def describe(run: RunResults) -> str:
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
