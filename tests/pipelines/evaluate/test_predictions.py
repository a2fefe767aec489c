import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError, DatasetError, ShardError
from pipelines.evaluate.predictions import (
    PREDICTIONS_SCHEMA,
    STAMP_KEY,
    from_table,
    load_predictions,
)
from tests.pipelines.evaluate.tables import certain, drawn_table, table_of


def test_from_table_gives_the_columns_by_row() -> None:
    table = table_of(certain([2, 0, 1]), [2, 1, 1], row=[7, 5, 6], verdict=["silent", None, None])
    found = from_table(table)
    assert found.row.tolist() == [5, 6, 7]
    assert found.label.tolist() == [1, 1, 2]
    assert found.correct.tolist() == [False, True, True]
    assert found.kept.tolist() == [True, True, False]
    assert found.probabilities.tolist() == certain([0, 1, 2]).tolist()


def test_from_table_numbers_instruments_by_name() -> None:
    names = ["reed_2", "bass_9", "reed_2", "bass_10"]
    found = from_table(table_of(certain([0] * 4), [0] * 4, instrument_str=names))
    assert found.instrument.tolist() == [2, 1, 2, 0]
    assert found.take(found.instrument == 2).instrument.tolist() == [0, 0]


def test_from_table_leaves_other_columns_alone() -> None:
    table = drawn_table(20)
    more = table.append_column("note", pa.nulls(20, pa.int8()))
    assert from_table(more).label.tolist() == from_table(table).label.tolist()


@pytest.mark.parametrize("missing", ["audio_digest", "instrument_seen", "probabilities"])
def test_from_table_says_which_column_is_missing(missing: str) -> None:
    with pytest.raises(DatasetError, match=f"no column {missing}; run the same training again"):
        from_table(drawn_table(20).drop_columns([missing]))


@pytest.mark.parametrize("column", ["label", "predicted"])
@pytest.mark.parametrize("value", [-1, 10])
def test_from_table_refuses_classes_that_are_none(column: str, value: int) -> None:
    table = table_of(certain([0, 1]), [0, 1])
    table = table.set_column(table.column_names.index(column), column, [[0, value]])
    with pytest.raises(DatasetError, match="from 0 to 9"):
        from_table(table)


def test_from_table_refuses_what_is_no_probability() -> None:
    probabilities = certain([0, 1])
    probabilities[1, 3] = np.nan
    with pytest.raises(DatasetError, match="not finite"):
        from_table(table_of(probabilities, [0, 1]))


def test_drawn_tables_have_the_stored_columns() -> None:
    assert drawn_table(20).select(PREDICTIONS_SCHEMA.names).cast(PREDICTIONS_SCHEMA).num_rows == 20


def test_load_predictions_reads_what_was_stored(tmp_path: Path) -> None:
    pq.write_table(drawn_table(50), tmp_path / "p.parquet")
    found = load_predictions(str(tmp_path / "p.parquet"))
    assert found.probabilities.tolist() == from_table(drawn_table(50)).probabilities.tolist()


@pytest.mark.parametrize(
    "stamp", [b'{"evaluation_version": 1}', b"{}", b"[]", b"null", b"no JSON", None]
)
def test_load_predictions_refuses_another_version(tmp_path: Path, stamp: bytes | None) -> None:
    metadata = None if stamp is None else {STAMP_KEY: stamp}
    pq.write_table(drawn_table(50).replace_schema_metadata(metadata), tmp_path / "p.parquet")
    found = json.loads(stamp)["evaluation_version"] if stamp and b"version" in stamp else None
    with pytest.raises(DatasetError, match=f"expected evaluation_version 3 .* found {found};"):
        load_predictions(str(tmp_path / "p.parquet"))


def test_load_predictions_says_what_is_missing_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    with pytest.raises(ConfigError, match=r"no file .*p\.parquet"):
        load_predictions(str(path))
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ShardError, match=r"is damaged: .*; run the same training again"):
        load_predictions(str(path))
