import os
import time
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.plan import Parameters
from pipelines.registry.clean import MIN_AGE_SEC, find_abandoned, remove_abandoned
from pipelines.registry.inventory import list_datasets, list_runs, manifests_under
from tests.pipelines.convert.records import note, tfrecord


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    source = tmp_path / "nsynth-test.tfrecord"
    source.write_bytes(tfrecord(note(0), note(1)))
    parameters = Parameters(range_bytes=300_000)
    uri, _ = convert([str(source)], root=str(tmp_path), parameters=parameters, num_workers=1)
    return Path(uri)


def grow_old(folder: Path) -> None:
    yesterday = time.time() - MIN_AGE_SEC - 60
    for path in folder.rglob("*"):
        os.utime(path, (yesterday, yesterday))


def test_list_datasets_tells_finished_from_unfinished(manifest: Path, tmp_path: Path) -> None:
    (found,) = list_datasets(str(tmp_path))
    assert (found.manifest and found.manifest.num_notes, found.num_shards) == (2, 2)
    manifest.unlink()
    (found,) = list_datasets(str(tmp_path))
    assert found.manifest is None
    assert "convert the source again" in found.note


def test_list_of_an_empty_root_is_empty(tmp_path: Path) -> None:
    assert not list_datasets(str(tmp_path))
    assert not list_runs(str(tmp_path))


def test_manifests_under_takes_manifest_folder_and_root(manifest: Path, tmp_path: Path) -> None:
    for place in (manifest, manifest.parent, tmp_path):
        assert manifests_under(str(place)) == [str(manifest)]


def test_find_abandoned_leaves_young_and_listed_objects(manifest: Path, tmp_path: Path) -> None:
    grow_old(tmp_path)
    assert find_abandoned(str(tmp_path)) == []
    (manifest.parent / "part-00000-000000000000007.parquet").write_bytes(b"young")
    assert find_abandoned(str(tmp_path)) == []


def test_find_abandoned_names_what_no_manifest_lists(manifest: Path, tmp_path: Path) -> None:
    stray = manifest.parent / "part-00000-000000000000007.parquet"
    stray.write_bytes(b"stray")
    grow_old(tmp_path)
    found = find_abandoned(str(tmp_path))
    assert [(item.uri, item.stored_bytes) for item in found] == [(str(stray), 5)]
    remove_abandoned(found)
    remove_abandoned(found)
    assert not stray.exists()
    assert len(storage.sizes(str(manifest.parent))) >= 3


def test_find_abandoned_sweeps_a_plan_that_was_never_committed(
    manifest: Path, tmp_path: Path
) -> None:
    manifest.unlink()
    assert find_abandoned(str(tmp_path)) == []
    grow_old(tmp_path)
    found = find_abandoned(str(tmp_path))
    assert len(found) == 2
    assert len(find_abandoned(str(tmp_path), min_age_sec=2 * MIN_AGE_SEC)) == 0


def test_find_abandoned_keeps_what_another_version_committed(
    manifest: Path, tmp_path: Path
) -> None:
    manifest.write_text('{"format_version": 99}')
    grow_old(tmp_path)
    assert find_abandoned(str(tmp_path)) == []
