"""Commands that list, verify, inspect and clean what is stored under a root."""

from functools import partial
from itertools import islice
from typing import Annotated, Any

import typer

from flows.cli.options import ROOT_VARIABLE, Json
from flows.cli.output import mebibytes, minute, print_result, rows_table, stream_json, stream_rows
from flows.cli.promotion import champions_table, entry_fields
from pipelines import layout, storage
from pipelines.errors import DatasetError, PipelineError
from pipelines.progress import Progress
from pipelines.registry.champions import champions
from pipelines.registry.clean import find_abandoned, find_stale_caches, remove_abandoned
from pipelines.registry.inventory import (
    StoredDataset,
    StoredRun,
    datasets_under,
    is_root,
    list_datasets,
    list_runs,
    manifests_under,
    runs_under,
)
from pipelines.terminal import bars
from pipelines.text import counted, listed

Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE", help="A manifest.json, a data set's or run's folder, or a root for all."
    ),
]
RootArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROOT", envvar=ROOT_VARIABLE, help="Folder or URI that holds notes/ and runs/."
    ),
]


def list_stored(root: RootArgument = "data", *, as_json: Json = False) -> None:
    """List data sets, runs and champions under a root."""
    storage.check_exists(root)
    datasets, runs = list_datasets(root), list_runs(root)
    entries, troubles = champions(root)
    result = {
        "datasets": [_dataset_fields(dataset) for dataset in datasets],
        "runs": [_run_fields(run) for run in runs],
        "champions": {model: entry_fields(entry) for model, entry in entries.items()},
        "unknown_champions": dict(troubles),
    }
    tables = [
        rows_table(
            "Data sets",
            ("data set", "sources", "notes", "quarantined", "shards", "size"),
            [
                (
                    storage.name(dataset.uri),
                    listed(source.name for source in dataset.manifest.sources),
                    dataset.manifest.num_notes,
                    dataset.manifest.num_quarantined,
                    dataset.num_shards,
                    mebibytes(dataset.stored_bytes),
                )
                for dataset in datasets
                if dataset.manifest
            ],
        ),
        rows_table(
            "Runs",
            ("run", "models", "created"),
            [
                (run.record.run_id, ", ".join(run.record.models), minute(run.record.created))
                for run in runs
                if run.record
            ],
        ),
    ]
    if entries:
        tables.append(champions_table(entries.values()))
    unfinished: list[StoredDataset | StoredRun] = [*datasets, *runs]
    notes = [(storage.name(one.uri), one.note) for one in unfinished if one.note]
    notes += troubles.items()
    if notes:
        tables.append(rows_table("Unfinished", ("folder", "what to do"), notes))
    print_result(result, as_json=as_json, tables=tables)


def _dataset_fields(dataset: StoredDataset) -> dict[str, Any]:
    fields = {
        "uri": dataset.uri,
        "num_shards": dataset.num_shards,
        "stored_bytes": dataset.stored_bytes,
        "note": dataset.note,
    }
    if dataset.manifest is None:
        return fields
    return fields | {
        "sources": [source.name for source in dataset.manifest.sources],
        "num_notes": dataset.manifest.num_notes,
        "num_quarantined": dataset.manifest.num_quarantined,
        "manifest_digest": dataset.manifest.manifest_digest,
    }


def _run_fields(run: StoredRun) -> dict[str, Any]:
    fields = {"uri": run.uri, "note": run.note}
    if run.record is None:
        return fields
    return fields | {
        "run_id": run.record.run_id,
        "models": list(run.record.models),
        "created": run.record.created,
    }


def verify(place: Place, *, as_json: Json = False) -> None:
    """Read everything that is stored again and account for every byte of the sources.

    For a data set this checks the page checksums, rows and digests of each shard and the sums, and
    judges the notes again. For a root it reads runs and registry too. It lists what is wrong, and
    the exit code is then 1.
    """
    from pipelines import verification  # noqa: PLC0415 - SciPy costs a second
    from pipelines.convert.commit import quarantine as conversion  # noqa: PLC0415 - as below

    storage.check_exists(place)
    manifests, runs = manifests_under(place), runs_under(place)
    if not manifests and not runs:
        raise DatasetError(f"there is no committed data set and no run in {place}; check the path")
    rows, problems = list[dict[str, Any]](), list[str]()
    for uri in manifests:
        try:
            with bars() as on_progress:
                checked = conversion.verify(uri, on_progress=on_progress)
        except PipelineError as err:
            problems.append(str(err))
            continue
        problems += [*checked.problems, *verification.verify_verdicts(uri)]
        rows += [
            {
                "manifest": uri,
                "source": name,
                "record_bytes": account.record_bytes,
                "skipped_bytes": account.skipped_bytes,
                "source_bytes": account.size,
            }
            for name, account in checked.accounts.items()
        ]
    with bars() as on_progress:
        for num, uri in enumerate(runs, start=1):
            problems += verification.verify_run(uri)
            on_progress(Progress("verify", num, len(runs), "runs"))
    num_records, wrong = verification.verify_registry(place) if is_root(place) else (0, [])
    problems = list(dict.fromkeys([*problems, *wrong]))
    tables = [
        rows_table(
            "Bytes",
            ("source", "in records", "skipped", "of the file"),
            [(r["source"], r["record_bytes"], r["skipped_bytes"], r["source_bytes"]) for r in rows],
        )
    ]
    if problems:
        tables.append(rows_table("Wrong", ("what",), [(problem,) for problem in problems]))
    read = (
        counted(len(manifests), "data set"),
        counted(len(runs), "run"),
        counted(num_records, "registry record"),
    )
    last_line = f"{', '.join(read)} verified, {counted(len(problems), 'problem')}"
    result = {
        "sources": rows,
        "num_datasets": len(manifests),
        "num_runs": len(runs),
        "num_registry_records": num_records,
        "problems": problems,
    }
    print_result(result, as_json=as_json, tables=tables, last_line=last_line)
    if problems:
        raise typer.Exit(1)


def quarantine(
    place: Place,
    *,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows to list at most.")] = None,
    as_json: Json = False,
) -> None:
    """List what conversions set aside: damaged bytes, and records that cannot become notes.

    This includes conversions that were refused or have not ended.
    """
    # `list` is fast without its imports.
    from pipelines.convert.commit.quarantine import stream_quarantined  # noqa: PLC0415

    storage.check_exists(place)
    folders = datasets_under(place)
    if not folders:
        raise DatasetError(f"there is no data set in {place}; check the path")
    rows = (row for folder in folders for row in stream_quarantined(folder))
    listed = rows if limit is None else islice(rows, limit)
    if as_json:
        stream_json("quarantined", listed)
        return
    keys = ("source_file", "offset", "length", "reason", "detail")
    num = stream_rows(keys, listed)
    is_cut = next(rows, None) is not None
    typer.echo(f"{num} listed, there are more" if is_cut else f"{num:,} set aside")


def clean(
    root: RootArgument = "data",
    *,
    older_than_hours: Annotated[
        float, typer.Option(min=0, help="Leave alone anything that changed more recently.")
    ] = 24,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove what abandoned conversions left, and caches of data sets that are gone."""
    storage.check_exists(root)
    min_age_sec = older_than_hours * 3600
    objects = [
        *find_abandoned(root, min_age_sec=min_age_sec),
        *find_stale_caches(root, min_age_sec=min_age_sec),
    ]
    leftovers = storage.sweep_uploads(root, min_age_sec, dry_run=dry_run)
    if not dry_run:
        objects = remove_abandoned(objects)
    num_bytes = sum(item.stored_bytes for item in objects)
    relative = partial(layout.relative, root)
    rows = [
        *((relative(item.uri), mebibytes(item.stored_bytes), item.why) for item in objects),
        *((relative(uri), mebibytes(0), "a killed writer left it") for uri in leftovers),
    ]
    tables = [rows_table("Abandoned", ("object", "size", "why"), rows)] if rows else []
    verb = "would be removed" if dry_run else "removed"
    num_objects = counted(len(objects) + len(leftovers), "object")
    last_line = f"{num_objects}, {mebibytes(num_bytes)} {verb}"
    result = {
        "objects": [*(item.uri for item in objects), *leftovers],
        "stored_bytes": num_bytes,
        "removed": not dry_run,
    }
    print_result(result, as_json=as_json, tables=tables, last_line=last_line)
