"""Promotion and rollback by hand, as commands."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flows.cli.options import Json, Margin, Root
from flows.cli.output import minute, print_result, rows_table
from flows.cli.scores import RunArgument
from pipelines import storage
from pipelines.records import check_name
from pipelines.registry.champions import Entry, roll_back
from pipelines.registry.inventory import find_run
from pipelines.registry.runs import load_run

if TYPE_CHECKING:
    from pipelines.promotion.stored import Promotion

Reason = Annotated[str, typer.Option(help="Why; it is stored with the champion.")]


def _check_model(model: str) -> str:
    try:
        return check_name(model)
    except ValueError as err:
        raise typer.BadParameter(str(err)) from err


def promote(
    *,
    run: RunArgument,
    reason: Reason,
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="NAME",
            help="Model of the run. May be repeated.",
            show_default="all",
        ),
    ] = [],  # noqa: B006 - never changed
    root: Root = "data",
    margin: Margin = 0.0,
    override: Annotated[
        bool, typer.Option("--override", help="Promote it whatever the comparison says.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the models of a run with the champions of their names, by hand.

    The notes held out for that decide, as in the scheduled run, and each use of them is counted.
    With --override the model is promoted in any case. The exit code is 1 if one is not promoted.
    """
    run_uri = find_run(root, run)
    names = models or list(load_run(run_uri).models)
    from pipelines.promotion.promote import promote as decide  # noqa: PLC0415 - Keras costs seconds

    promotions = {
        model: decide(
            run_uri,
            model,
            root=root,
            cache_dir=storage.cache_dir(root),
            margin=margin,
            by="hand",
            reason=reason,
            override=override,
        )
        for model in names
    }
    result = {
        "promotion": {model: promotion_fields(promotion) for model, promotion in promotions.items()}
    }
    tables = [promotions_table(result["promotion"])]
    print_result(result, as_json=as_json, tables=tables)
    if any(promotion.outcome != "promoted" for promotion in promotions.values()):
        raise typer.Exit(1)


def rollback(
    *,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Model whose champion is replaced.", callback=_check_model
        ),
    ],
    to: Annotated[
        int | None,
        typer.Option(min=1, help="Entry to go back to.", show_default="the one before"),
    ] = None,
    reason: Reason = "",
    root: Root = "data",
    as_json: Json = False,
) -> None:
    """Make an earlier champion the present one again; nothing is removed.

    The scheduled run does not promote the replaced model again; `nsynth promote` may.
    """
    entry = roll_back(root, model, to=to, reason=reason)
    tables = [champions_table([entry])]
    print_result({"champion": entry_fields(entry)}, as_json=as_json, tables=tables)


def promotion_fields(promotion: "Promotion") -> dict[str, Any]:
    """Return the part of a decision that is JSON output."""
    fields = asdict(promotion)
    keys = ("outcome", "why", "by", "entry", "gate", "champion", "quality_drop")
    return {key: fields[key] for key in keys} | {"health": list(promotion.health)}


def promotions_table(promotions: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return one row per model."""
    return rows_table(
        "Promotion",
        ("model", "verdict", "comparison", "why"),
        [
            (name, fields["outcome"], (fields["gate"] or {}).get("look") or "none", fields["why"])
            for name, fields in promotions.items()
        ],
    )


def entry_fields(entry: Entry) -> dict[str, Any]:
    """Return the part of a champion that is JSON output."""
    fields = asdict(entry)
    del fields["figures"]
    return fields


def champions_table(entries: Iterable[Entry]) -> Table:
    """Return one row per champion."""
    return rows_table(
        "Champions",
        ("model", "entry", "run", "by", "when", "why"),
        [(e.model, e.number, e.run_id, e.by, minute(e.when), e.why) for e in entries],
    )
