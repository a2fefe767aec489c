"""Whether the published figures are of the notes that this run was trained and tested on, in words.

A difference from them is drawn only where both are so, as far as counts can tell.
"""

from typing import Final

from pipelines.notes import OFFICIAL_SPLITS
from pipelines.report import published
from pipelines.report.formats import count
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
