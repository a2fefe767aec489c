import os
import shutil
from pathlib import Path

import pytest

from pipelines.dataset import open_dataset
from pipelines.registry.clean import find_stale_caches, remove_abandoned
from pipelines.train.samples.cache import cached_audio
from tests.pipelines.datasets import row, store


def add(root: Path, name: str, *, cache: Path) -> Path:
    """A data set of a root, with its cache; gives the data set's folder."""
    notes = root / "notes" / name
    rows = [row(number) for number in range(2)]
    cached_audio(open_dataset(store(notes, rows, notes_per_shard=1, file_name=name)), cache)
    return notes


def found(root: Path) -> list[str]:
    return [item.why for item in find_stale_caches(str(root), min_age_sec=-1)]


GONE = ["the data set of this cache is gone"] * 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NSYNTH_CACHE", str(tmp_path / "shared"))
    return tmp_path / "shared"


def test_find_stale_caches_names_those_whose_data_set_is_gone(root: Path) -> None:
    kept, gone = (add(root, name, cache=root / "cache") for name in ("kept", "gone"))
    assert found(root) == []
    shutil.rmtree(gone)
    assert found(root) == GONE
    remove_abandoned(find_stale_caches(str(root), min_age_sec=-1))
    assert found(root) == []
    digest = open_dataset(str(kept / "manifest.json")).manifest.manifest_digest
    assert {path.name[:64] for path in (root / "cache").iterdir()} == {digest}


def test_find_stale_caches_leaves_young_ones(root: Path) -> None:
    shutil.rmtree(add(root, "gone", cache=root / "cache"))
    assert find_stale_caches(str(root)) == []
    for path in (root / "cache").iterdir():
        os.utime(path, (0, 0))
    assert len(find_stale_caches(str(root))) == 3


def test_find_stale_caches_names_builds_that_were_never_finished(root: Path) -> None:
    add(root, "kept", cache=root / "cache")
    [path] = (root / "cache").glob("*.f32")
    path.rename(f"{path}.part")
    assert found(root) == ["the cache was never completed"]


def test_find_stale_caches_keeps_those_of_a_root_that_was_moved(root: Path, tmp_path: Path) -> None:
    add(root, "kept", cache=root / "cache")
    moved = root.rename(tmp_path / "moved")
    assert found(moved) == []
    shutil.rmtree(moved / "notes")
    assert found(moved) == GONE


def test_find_stale_caches_keeps_another_roots_in_a_shared_folder(
    root: Path, shared: Path, tmp_path: Path
) -> None:
    mine, others = add(root, "mine", cache=shared), add(tmp_path / "other", "x", cache=shared)
    shutil.rmtree(others)
    assert found(root) == []
    shutil.rmtree(mine)
    assert found(root) == GONE


def test_find_stale_caches_keeps_those_of_another_versions_data_set(root: Path) -> None:
    notes = add(root, "kept", cache=root / "cache")
    (notes / "manifest.json").write_text('{"format_version": 99}')
    assert found(root) == []


def test_find_stale_caches_touches_nothing_else(root: Path) -> None:
    (root / "cache").mkdir(parents=True)
    for name in ("notes.json", "x.f32", f"{'0' * 64}.f32.txt"):
        (root / "cache" / name).touch()
    assert found(root) == []
    assert find_stale_caches(str(root / "nothing")) == []
