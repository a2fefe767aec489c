"""The notes of a run that do not train: which they are, as tables that the run stores."""

import logging
from collections import Counter
from dataclasses import replace

import pyarrow as pa

from pipelines import storage
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import PipelineError
from pipelines.notes import FAMILIES
from pipelines.parquet import table_digest
from pipelines.train.experiment import Experiment
from pipelines.train.gating import Gating, gate_of_run, gated_rows, trains_on
from pipelines.train.leaks import leaked
from pipelines.train.split import Indices
from pipelines.train.trained import KEPT_OUT_SCHEMA, load_kept_out
from pipelines.validate.rules import LEAKED
from pipelines.validate.verdicts import Validation, load_reasons

log = logging.getLogger(__name__)


def leaked_notes(name: str, sides: dict[str, Validation]) -> pa.Table:
    """The notes of a data set whose audio a later one holds, with their row and their family."""
    names = list(sides)
    later = [sides[other] for other in names[names.index(name) + 1 :]]
    scoring = [
        audio_digest
        for side in later
        for audio_digest in open_dataset(side.manifest_uri)
        .read(["audio_digest"])["audio_digest"]
        .to_pylist()
    ]
    side = sides[name]
    notes = open_dataset(side.manifest_uri).read(
        ["note_str", "audio_digest", "instrument_family_str"]
    )
    reasons = leaked(notes["audio_digest"].to_pylist(), load_reasons(side), scoring)
    rows = pa.array([row for row, reason in enumerate(reasons) if reason == LEAKED], pa.int64())
    return _with_place(notes.take(rows), name, rows)


def gated_notes(
    sides: dict[str, Validation],
    leaks: dict[str, pa.Table],
    *,
    experiment: Experiment,
    root: str,
    gating: Gating,
) -> tuple[str | None, dict[str, pa.Table]]:
    """The gate, and which notes of each data set it keeps; nothing where that changes nothing."""
    if gating == "off":
        return None, {}
    reasons = {name: load_reasons(sides[name]) for name in leaks}
    for name, table in leaks.items():
        for row in table["row"].to_pylist():
            reasons[name][row] = LEAKED
    gate = gate_of_run(sides, reasons, experiment=experiment, root=root, gating=gating)
    if gate is None:
        return None, {}
    rows = {name: gated_rows(sides[name], reasons[name], gate) for name in leaks}
    if not any(map(len, rows.values())):
        return None, {}
    if not experiment.keeps_best_epoch and not trains_on(
        sides["train"], reasons["train"], rows["train"], experiment
    ):
        return None, {}
    columns = ["note_str", "audio_digest", "instrument_family_str"]
    return gate.digest, {
        name: _with_place(
            open_dataset(sides[name].manifest_uri).read(columns).take(pa.array(of)), name, of
        )
        for name, of in rows.items()
    }


def store_notes(uri: str, tables: dict[str, pa.Table]) -> int:
    """Store which notes are kept out, in place of others that are stored; return how many."""
    found = pa.concat_tables([table.select(KEPT_OUT_SCHEMA.names) for table in tables.values()])
    data = encode(found)
    if not storage.create(uri, data) and not _is_stored(uri, found):
        storage.put(uri, data)
    return int(found.num_rows)


def _is_stored(uri: str, notes: pa.Table) -> bool:
    try:
        if table_digest(load_kept_out(uri)) == table_digest(notes):
            return True
        log.warning("%s does not hold the notes that are kept out; it is written again", uri)
    except PipelineError as err:
        log.warning("%s", err)
    return False


def without(side: Validation, reason: str, table: pa.Table) -> Validation:
    """The verdicts with these notes moved from the kept ones to the dropped ones."""
    if not table.num_rows:
        return side
    kept = Counter(side.families)
    kept.subtract(table["instrument_family_str"].to_pylist())
    return replace(
        side,
        num_kept=side.num_kept - table.num_rows,
        dropped=side.dropped | {reason: table.num_rows},
        families={family: kept[family] for family in FAMILIES if kept[family]},
    )


def _with_place(notes: pa.Table, name: str, rows: pa.Array | Indices) -> pa.Table:
    """Notes of a data set, with what tells which they are."""
    found = notes.add_column(0, KEPT_OUT_SCHEMA.field("row"), [rows])
    names = pa.array([name] * len(rows), pa.string())
    return found.add_column(0, KEPT_OUT_SCHEMA.field("dataset"), [names])
