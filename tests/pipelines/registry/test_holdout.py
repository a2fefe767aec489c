from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import DatasetError
from pipelines.registry.holdout import (
    Holdout,
    current_holdout,
    freeze_holdout,
    load_looks,
    record_look,
)
from tests.pipelines.train.tiny import commit_notes

NOTES = [(number, family) for family in ("bass", "organ") for number in range(6)]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return commit_notes(tmp_path_factory.mktemp("data"), "train", NOTES)


@pytest.fixture
def freeze(manifest: str) -> Callable[..., Holdout]:
    def freeze_rows(root: str, *rows: int, whole: bool = False) -> Holdout:
        return freeze_holdout(root, manifest, np.array(rows), holds_instruments=whole)

    return freeze_rows


def test_gate_is_read_as_it_was_frozen(root: str, freeze: Callable[..., Holdout]) -> None:
    assert current_holdout(root) is None
    frozen = freeze(root, 8, 1, 2)
    found = current_holdout(root)
    assert found is not None
    assert found.digest == frozen.digest
    assert found.notes["row"].to_pylist() == [1, 2, 8]
    assert found.notes["instrument_str"][2].as_py() == "organ_acoustic_002"
    assert found.num_instruments == 3


def test_freeze_gate_keeps_the_first(root: str, freeze: Callable[..., Holdout]) -> None:
    with ThreadPoolExecutor(8) as pool:
        frozen = list(pool.map(lambda row: freeze(root, row, row + 1), range(8)))
    assert len({gate.digest for gate in frozen}) == 1
    assert freeze(root, 9).digest == frozen[0].digest


def test_gate_holds_its_audio_and_where_it_says_so_its_instruments(
    tmp_path: Path, freeze: Callable[..., Holdout]
) -> None:
    by_note = freeze(f"{tmp_path}/a", 0)
    by_instrument = freeze(f"{tmp_path}/b", 0, whole=True)
    (digest,) = by_note.notes["audio_digest"].to_pylist()
    asked = [digest, "another", "another"], ["elsewhere", "bass_acoustic_000", "elsewhere"]
    assert by_note.holds(*asked).tolist() == [True, False, False]
    assert by_instrument.holds(*asked).tolist() == [True, True, False]


def test_gate_moves_with_its_root(tmp_path: Path, freeze: Callable[..., Holdout]) -> None:
    manifest = commit_notes(tmp_path / "a", "train", NOTES)
    freeze_holdout(f"{tmp_path}/a", manifest, np.array([1]), holds_instruments=False)
    (tmp_path / "a").rename(tmp_path / "b")
    moved = current_holdout(f"{tmp_path}/b")
    assert moved is not None
    assert moved.manifest_uri == f"{tmp_path}/b/notes/train/manifest.json"


def test_looks_are_counted_once_a_question(root: str, freeze: Callable[..., Holdout]) -> None:
    gate = freeze(root, 0, 1)
    assert [record_look(gate, {"challenger": of}) for of in ("a", "b", "a", "c")] == [1, 2, 1, 3]
    assert [of["challenger"] for of in load_looks(gate)] == ["a", "b", "c"]


def test_looks_of_many_at_once_are_all_counted(root: str, freeze: Callable[..., Holdout]) -> None:
    gate = freeze(root, 0, 1)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda of: record_look(gate, {"challenger": of}), range(8)))
    assert sorted(numbers) == list(range(1, 9))
    assert [of["challenger"] for of in load_looks(gate)] == [numbers.index(n) for n in range(1, 9)]


def test_current_gate_refuses_one_that_lost_notes(
    tmp_path: Path, freeze: Callable[..., Holdout]
) -> None:
    gate, other = freeze(f"{tmp_path}/a", 0, 1), freeze(f"{tmp_path}/b", 0)
    (Path(gate.uri) / "notes.parquet").write_bytes(Path(f"{other.uri}/notes.parquet").read_bytes())
    with pytest.raises(DatasetError, match=r"expected 2 notes in .*notes\.parquet, found 1"):
        current_holdout(f"{tmp_path}/a")
