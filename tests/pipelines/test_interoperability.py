"""Other people's readers open a data set and see the same labels and samples as ours."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.dataset import open_dataset
from pipelines.validate.verdicts import validate
from tests.pipelines.convert.records import frame, note, tfrecord

DOCS = Path(__file__).parents[2] / "docs" / "interoperability.md"
LABELS = ["note_str", "instrument_family_str"]


@pytest.fixture(scope="module")
def manifest_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five notes, an empty shard, a quarantine and verdicts."""
    folder = tmp_path_factory.mktemp("interoperability")
    source = folder / "nsynth-valid.tfrecord"
    damage = b"?" * 600_000 + frame(b"no message")
    # The last note is there twice, so that one has a verdict.
    source.write_bytes(tfrecord(note(0), note(1)) + damage + tfrecord(note(2), note(3), note(3)))
    uri, manifest = convert(
        [str(source)],
        root=str(folder / "root"),
        parameters=Parameters(range_bytes=300_000),
        num_workers=1,
        max_quarantined=1,
    )
    assert 0 in {shard.num_notes for shard in manifest.shards}
    validate(uri)
    return uri


@pytest.fixture
def folder(manifest_uri: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set's folder, made the working one."""
    path = Path(manifest_uri).parent
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hugging Face's library, with a cache of its own and no network."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")


def truth(manifest_uri: str) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
    dataset = open_dataset(manifest_uri)
    return dataset.read(LABELS).to_pylist(), np.concatenate(list(dataset.iter_audio()))


def test_duckdb_reads_labels_and_samples(manifest_uri: str, folder: Path) -> None:
    labels, audio = truth(manifest_uri)
    rows = duckdb.sql("SELECT note_str, instrument_family_str, audio FROM 'data/*.parquet'")
    found = rows.fetchall()
    assert [dict(zip(LABELS, row[:2], strict=True)) for row in found] == labels
    np.testing.assert_array_equal(np.array([row[2] for row in found], np.float32), audio)


def test_pandas_reads_labels_and_samples(manifest_uri: str, folder: Path) -> None:
    labels, audio = truth(manifest_uri)
    found = pd.read_parquet("data")
    assert found[LABELS].to_dict("records") == labels
    np.testing.assert_array_equal(np.stack(found["audio"]), audio)


@pytest.mark.parametrize("read", [pq.read_table, lambda path: ds.dataset(path).to_table()])
def test_pyarrow_reads_labels_and_samples(
    manifest_uri: str, folder: Path, read: Callable[[str], pa.Table]
) -> None:
    labels, audio = truth(manifest_uri)
    found = read("data")
    assert found.select(LABELS).to_pylist() == labels
    stored = found["audio"].combine_chunks().flatten().to_numpy().reshape(-1, 8000)
    np.testing.assert_array_equal(stored, audio)


def test_polars_reads_labels_and_samples(manifest_uri: str, folder: Path) -> None:
    labels, audio = truth(manifest_uri)
    found = pl.read_parquet("data")
    assert found.select(LABELS).to_dicts() == labels
    assert found.schema["audio"] == pl.Array(pl.Float32, 8000)
    np.testing.assert_array_equal(found["audio"].to_numpy(), audio)


def test_datasets_reads_labels_and_samples_of_the_folder(
    manifest_uri: str, folder: Path, datasets: Any
) -> None:
    labels, audio = truth(manifest_uri)
    found = datasets.load_dataset(str(folder), split="valid").with_format("numpy")
    assert [{name: row[name] for name in LABELS} for row in found] == labels
    np.testing.assert_array_equal(found["audio"][:], audio)


def snippets(text: str) -> list[str]:
    """The Python in a page of Markdown."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(snippet: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - what a reader of the page would paste
    return names


@pytest.mark.parametrize("tool", ["duckdb", "pandas", "polars"])
def test_readme_says_how_to_open_the_folder(folder: Path, tool: str) -> None:
    (snippet,) = [s for s in snippets((folder / "README.md").read_text()) if f"import {tool}" in s]
    assert len(run(snippet)["notes"]) == 5


def test_readme_says_how_to_open_the_folder_with_datasets(folder: Path, datasets: Any) -> None:
    *_, snippet = snippets((folder / "README.md").read_text())
    assert run(snippet)["notes"][0]["audio"].shape == (8000,)


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_snippets_of_the_page_run(folder: Path, number: int) -> None:
    names = run(snippets(DOCS.read_text())[number])
    assert names["kept"].shape[0] == 4 if "kept" in names else "notes" in names
    assert names.get("audio", np.empty((5, 8000))).shape == (5, 8000)


def test_snippet_of_the_page_for_datasets_runs(folder: Path, datasets: Any) -> None:
    names = run(snippets(DOCS.read_text())[3])
    assert list(names["notes"]) == ["valid"]
    assert len(names["split"]) == 5
