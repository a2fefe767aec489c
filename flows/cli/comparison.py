"""The comparison of runs as a command."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flows.cli.options import Json, Root
from flows.cli.output import FIGURES, print_result, rows_table
from pipelines.errors import ConfigError
from pipelines.registry.inventory import find_run
from pipelines.text import listed

if TYPE_CHECKING:
    from pipelines.evaluate.comparison import RunPair


def compare(
    *,
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Ids of runs, their beginnings, or URIs; of one, its models."
        ),
    ],
    output: Annotated[
        str | None, typer.Option(help="File or URI of a page to write, with learning curves.")
    ] = None,
    root: Root = "data",
    as_json: Json = False,
) -> None:
    """Compare models on the same test notes, note by note: each later run minus the first.

    Runs: each model that both have. One run: its models, each other one minus the smallest. The
    intervals are of 95 % and resample instruments, then their notes, with both predictions of a
    note. Runs with other test notes than the first are named, and not subtracted. Of three runs or
    more accuracy alone is printed; --json and --output have all.
    """
    from pipelines.evaluate.comparison import compare_models, compare_with_first  # noqa: PLC0415

    uris = [find_run(root, run) for run in runs]
    pairs = compare_with_first(uris) if len(uris) > 1 else []
    models = compare_models(uris[0]) if len(uris) == 1 else {}
    if pairs and not output and not any(pair.comparisons for pair in pairs):
        raise ConfigError(listed(dict.fromkeys(pair.note for pair in pairs), separator="; "))
    result = _content(pairs, {name: model.to_dict() for name, model in models.items()})
    if output:
        from pipelines.report.runs_comparison import write_comparison  # noqa: PLC0415

        # A run that cannot be read has no place on the page; it is named below.
        readable_pairs = [pair for pair in pairs if pair.is_readable]
        readable = [uri for uri, pair in zip(uris[1:], pairs, strict=False) if pair.is_readable]
        result["page"] = write_comparison(output, [uris[0], *readable], readable_pairs, models)
    if len(pairs) > 1:
        lines, tables = [], _short_tables(result["pairs"])
    else:
        comparisons = result["comparisons"]
        lines = [f"{name}: {_mcnemar(**fields['mcnemar'])}" for name, fields in comparisons.items()]
        tables = [comparison_table(name, fields) for name, fields in comparisons.items()]
    lines += [f"{pair.second} is not subtracted: {pair.note}" for pair in pairs if pair.note]
    lines += [result["page"]] if output else []
    print_result(result, as_json=as_json, tables=tables, lines=lines)
    if not all(pair.is_readable for pair in pairs):
        raise typer.Exit(1)


def _content(pairs: Sequence["RunPair"], models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON output: `comparisons` of one run or two, and `pairs` of several runs."""
    if not pairs:
        return {"comparisons": dict(models)}
    content = [
        {
            "first": pair.first,
            "second": pair.second,
            "comparisons": {name: model.to_dict() for name, model in pair.comparisons.items()},
            "note": pair.note,
        }
        for pair in pairs
    ]
    head = {"comparisons": content[0]["comparisons"]} if len(content) == 1 else {}
    return {**head, "pairs": content}


def _short_tables(pairs: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return one table per model with one row per later run, of the accuracy alone."""
    models = dict.fromkeys(model for pair in pairs for model in pair["comparisons"])
    return [
        rows_table(
            f"{model}, accuracy; the first is {pairs[0]['first']}",
            ("run", "notes", "first", "second", "second - first"),
            [
                (pair["second"], num_notes, *rest)
                for pair in pairs
                if model in pair["comparisons"]
                for num_notes, _, *rest in [_difference(pair["comparisons"][model])]
            ],
        )
        for model in models
    ]


def comparison_table(name: str, fields: Mapping[str, Any]) -> Table:
    """Return the differences of one comparison: each figure, then the accuracy by family."""
    rows = [(FIGURES[figure], *_difference(fields, figure)) for figure in fields["figures"]]
    rows += [
        (f"accuracy, {family}", *_difference(part)) for family, part in fields["families"].items()
    ]
    heading = ("", "notes", "instruments", "first", "second", "difference, second - first")
    return rows_table(name, heading, rows)


def _difference(
    part: Mapping[str, Any], figure: str = "accuracy"
) -> tuple[int, int, str, str, str]:
    size = (part["num_notes"], part["num_instruments"])
    if not (values := part["figures"].get(figure)):
        return (*size, "", "", "too few")
    ends = values["interval"]
    interval = f"{ends[0]:+.3f} to {ends[1]:+.3f}" if ends else ""
    if part["too_few"]:
        interval = "too few"
    difference = f"{values['difference']:+.3f}" + (f" ({interval})" if interval else "")
    return (*size, f"{values['first']:.3f}", f"{values['second']:.3f}", difference)


def _mcnemar(*, only_first: int, only_second: int, p_value: float, caveat: str) -> str:
    return (
        f"only the first is right on {only_first:,} notes, only the second on {only_second:,}; "
        f"McNemar's exact test, which {caveat}: p = {p_value:.2g}"
    )
