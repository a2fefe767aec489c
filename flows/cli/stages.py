"""The stages before training as commands."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.cli.options import (
    Dropped,
    Force,
    JobEndpoint,
    Json,
    add_beam_options,
    with_options,
)
from flows.cli.output import drops_table, mebibytes, pairs_table, print_result, rows_table
from infra.engines.settings import load_engine
from pipelines import layout, storage
from pipelines.convert.shards.estimate import estimate
from pipelines.convert.shards.plan import Parameters, Plan, plan
from pipelines.parameters import MAX_DROPPED, SOURCE, ConversionRequest
from pipelines.terminal import bars
from pipelines.validate.verdicts import Validation


@with_options(ConversionRequest)
def convert(
    request: ConversionRequest,
    *,
    source: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help=f"The data: {SOURCE}"),
    ],
    job_endpoint: JobEndpoint = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="gs:// location of a Dataflow template to write instead of running."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Ranges converted at a time.",
            show_default="all CPUs, or the engine's own",
        ),
    ] = None,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the plan: ranges, bytes, size, time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert NSynth's files to resampled Parquet shards.

    Running it again converts only what is missing. Damaged records are set aside and listed; they
    never stop the job, unless there are more of them than --max-quarantined allows.
    """
    root, parameters = request.root, Parameters.from_request(request)
    engine = load_engine(
        request.runner,
        file=request.engine_settings,
        options=add_beam_options(
            request.beam_options, job_endpoint=job_endpoint, template_location=template
        ),
    )
    if dry_run:
        _print_plan(plan(source, root=root, parameters=parameters), root, as_json=as_json)
        return
    from pipelines.convert.job import convert as run  # noqa: PLC0415 - importing Beam costs seconds
    from pipelines.convert.job import write_template  # noqa: PLC0415 - as above

    if template:
        planned, num_ranges = write_template(
            source, root=root, parameters=parameters, engine=engine, force=force
        )
        written = {"template": template, "dataset_id": planned.dataset_id, "num_ranges": num_ranges}
        tables = [pairs_table("Template; nothing has run", list(written.items()))]
        after = "when its job is done, the same command without --template writes the manifest"
        print_result(written, as_json=as_json, tables=tables, last_line=after)
        return
    with bars() as on_progress:
        manifest_uri, manifest = run(
            source,
            root=root,
            parameters=parameters,
            engine=engine,
            num_workers=workers,
            max_quarantined=request.max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    result = {
        "dataset_id": manifest.dataset_id,
        "manifest": manifest_uri,
        "manifest_digest": manifest.manifest_digest,
        "num_notes": manifest.num_notes,
        "num_quarantined": manifest.num_quarantined,
        "num_shards": len(manifest.shards),
        "source_bytes": manifest.source_bytes,
        "record_bytes": manifest.record_bytes,
        "skipped_bytes": manifest.skipped_bytes,
    }
    rows = _rows(result, root)
    rows += [(f"quarantined: {reason}", num) for reason, num in manifest.quarantined.items()]
    tables = [pairs_table("Converted", rows)]
    print_result(result, as_json=as_json, tables=tables, last_line=manifest_uri)


def validate(
    *,
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="The manifest.json that convert wrote.")
    ],
    max_dropped: Dropped = MAX_DROPPED,
    as_json: Json = False,
) -> None:
    """Judge each note of a data set: kept, or dropped with a reason.

    Shards stay as they are; the verdicts are stored beside them.
    """
    from pipelines.validate.verdicts import check_dropped  # noqa: PLC0415 - as in its siblings
    from pipelines.validate.verdicts import validate as run  # noqa: PLC0415

    validation = run(manifest)
    result = _counts(validation) | {"num_quarantined": validation.num_quarantined}
    tables = [drops_table({"notes": result})]
    print_result(result, as_json=as_json, tables=tables, last_line=validation.official)
    check_dropped(validation, max_dropped=max_dropped)


def errata(
    *,
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="The manifest.json that convert wrote.")
    ],
    other: Annotated[
        list[str],
        typer.Option(
            metavar="MANIFEST",
            help="Look for its audio in this data set too, such as another split. May be repeated.",
        ),
    ] = [],  # noqa: B006 - never changed
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="List this kind alone, such as near_twin.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV or Parquet file to write as well.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows to print at most.")] = 20,
    force: Annotated[
        bool, typer.Option("--force", help="Look again although nothing changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the defects of a data set, and store them as a table.

    Those of validation, and near twins, instruments that share audio, waveforms without a pitch and
    notes that reach full scale. The table is stored beside the manifest, which stays as it is.
    """
    from pipelines.validate.errata import (  # noqa: PLC0415 - as in its siblings
        count_errata,
        export_errata,
        find_errata,
        select_kind,
    )

    with bars() as on_progress:
        uri, table = find_errata(manifest, other, force=force, on_progress=on_progress)
    counts = count_errata(table)
    if kind is not None:
        table = select_kind(table, kind)
    if output:
        export_errata(table, output)
    rows = table.slice(0, limit).to_pylist()
    result = {"errata": uri, "counts": counts, "num_rows": table.num_rows, "rows": rows}
    tables = [rows_table("Errata", ("kind", "rows"), counts.items())]
    if rows:
        headings = ("kind", "note", "value", "other note", "other source")
        keys = ("kind", "note_str", "value", "other_note_str", "other_source")
        cells = [["" if row[key] is None else row[key] for key in keys] for row in rows]
        tables.append(rows_table(f"{len(rows)} of {table.num_rows:,} rows", headings, cells))
    print_result(result, as_json=as_json, tables=tables, last_line=output or uri)


def _print_plan(planned: Plan, root: str, *, as_json: bool) -> None:
    expected = estimate(planned)
    free = storage.free_bytes(planned.folder)
    result = {
        "dataset_id": planned.dataset_id,
        "manifest": planned.manifest_uri,
        "num_ranges": expected.num_ranges,
        "source_bytes": expected.source_bytes,
        "expected_stored_bytes": expected.stored_bytes,
        "expected_seconds_one_worker": None
        if expected.seconds is None
        else round(expected.seconds, 1),
        "free_bytes": free,
    }
    tables = [pairs_table("Plan; nothing is written", _rows(result, root))]
    print_result(result, as_json=as_json, tables=tables)


def _rows(result: Mapping[str, Any], root: str) -> list[tuple[str, Any]]:
    """Return a result for people: sizes and times with units, paths relative to the root."""
    rows = list[tuple[str, Any]]()
    for key, value in result.items():
        name = key.removeprefix("num_").replace("_", " ")
        if key.endswith("_bytes") and value is not None:
            exact = "" if key.startswith(("expected", "free")) else f" ({value:,} bytes)"
            rows.append((name.removesuffix(" bytes"), f"{mebibytes(value)}{exact}"))
        elif key == "expected_seconds_one_worker":
            time = "unknown" if value is None else f"{value:,.0f} s"
            rows.append(("expected time of one worker", time))
        else:
            rows.append((name, layout.relative(root, value) if key == "manifest" else value))
    return rows


def _counts(validation: Validation) -> dict[str, Any]:
    fields = asdict(validation)
    return {key: fields[key] for key in ("num_seen", "num_kept", "dropped")}
