"""Whether the published figures are of the notes that this run was tested on, and that in words."""

from pipelines.report import published
from pipelines.report.formats import count
from pipelines.report.results import ModelResults, RunResults


def counts_as_official(run: RunResults, model: ModelResults) -> bool:
    """Whether as many notes of each family were scored as the official test split holds."""
    ours = dict(zip(run.families, map(sum, model.every.confusion_matrix), strict=True))
    matrix = published.PRELIMINARY.confusion_matrix
    return ours == dict(zip(published.FAMILIES, map(sum, matrix), strict=True))


def describe(run: RunResults) -> str:
    """How far our figures and the published ones compare; empty where none are published."""
    compared = [model for model in run.models if model.published]
    if not compared:
        return ""
    official = count(published.NUM_TEST_NOTES)
    if all(counts_as_official(run, model) for model in compared):
        return (
            f"By count our test set is the official one: {official} notes, as many of each family. "
            "The published accuracy compares with ours of all notes."
        )
    return (
        "Our figures and the published ones are of different notes: "
        f"{count(compared[0].every.num_scored)} test notes here, the official {official} there. "
        "They stand side by side for orientation; neither confirms nor refutes the other."
    )
