"""The data of a run as Markdown: counts, families, leaks, and examples of what was left out."""

from pipelines.report import formats
from pipelines.report.dropped_notes import NUM_EXAMPLES, Loss, Losses
from pipelines.report.markdown.text import plain, table
from pipelines.report.page_values import family_rows
from pipelines.report.report_data import ReportData
from pipelines.report.summaries import notes_table


def data_markdown(story: ReportData) -> list[str]:
    """The section, in blocks."""
    datasets = story.run.record.datasets
    families = [(name, *map(formats.count, nums)) for name, nums in family_rows(datasets)]
    return [
        "## Data",
        notes_table(story.run),
        "Kept notes by family:",
        table(("", *datasets), families, num_left=1),
        *(f"{plain(name)}: {plain(of.official)}" for name, of in datasets.items() if of.official),
        "### Leaks",
        "\n".join(f"- {plain(sentence)}" for sentence in story.leaks),
        "### What was left out",
        f"Of each reason the first {NUM_EXAMPLES} in the order of the files.",
        *(part for name, of in story.losses.items() for part in _losses(name, of)),
    ]


def _losses(name: str, of: Losses) -> list[str]:
    rows = [
        row
        for kind, found in (("dropped", of.dropped), ("quarantined", of.quarantined))
        for loss in found
        for row in _loss(kind, loss)
    ]
    head = ("reason", "number", "such as", "at")
    return [
        f"#### {plain(name)}, left out",
        *(f"There are {plain(sentence)}." for sentence in of.missing),
        table(head, rows) if rows else "" if of.missing else "Nothing.",
    ]


def _loss(kind: str, loss: Loss) -> list[tuple[str, str, str, str]]:
    """A row an example, or one without."""
    found = [(example.what, example.place) for example in loss.examples]
    reason, number = f"{kind}: {loss.reason}", formats.count(loss.num)
    return [(reason, number, *of) for of in found or [(formats.NOTHING, formats.NOTHING)]]
