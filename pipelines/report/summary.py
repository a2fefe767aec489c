"""A run in one short Markdown table, for where a whole page is too much."""

from collections.abc import Iterable

from pipelines.report import comparison, formats
from pipelines.report.results import ModelResults, RunResults, load_results
from pipelines.validate.verdicts import Validation


def summary_markdown(run_uri: str) -> str:
    """The models of a run with their scores, then what each data set lost."""
    return summarise(load_results(run_uri))


def summarise(run: RunResults) -> str:
    """The pure part of `summary_markdown`."""
    head = (
        "Model",
        "Accuracy",
        "Notes scored",
        "Accuracy, all notes",
        "All notes",
        "Published accuracy",
        "Parameters",
    )
    lines = [
        _row(head),
        _row(["---", *["---:"] * (len(head) - 1)]),
        *(_row(_model(model)) for model in run.models),
        "",
        comparison.describe(run),
        "",
        *(_dataset(name, dataset) for name, dataset in run.record.datasets.items()),
    ]
    return "\n".join(lines)


def _model(model: ModelResults) -> list[str]:
    return [
        model.name,
        formats.score(model.kept.accuracy),
        formats.count(model.kept.num_scored),
        formats.score(model.every.accuracy),
        formats.count(model.every.num_scored),
        formats.score(model.published.accuracy) if model.published else "none",
        formats.count(model.num_parameters),
    ]


def _dataset(name: str, dataset: Validation) -> str:
    dropped = ", ".join(f"{formats.count(n)} {why}" for why, n in dataset.dropped.items() if n)
    return _plain(
        f"- {name}: {formats.count(dataset.num_seen)} notes seen, "
        f"{formats.count(dataset.num_kept)} kept, "
        f"{formats.plural(dataset.num_quarantined, 'record')} quarantined; "
        f"dropped: {dropped or 'none'}"
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown cannot take for markup of a page."""
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())
