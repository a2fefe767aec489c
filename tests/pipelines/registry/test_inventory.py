from pathlib import Path

import pytest

from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.registry.inventory import list_datasets, list_runs, manifests_under
from tests.pipelines.convert.records import note, tfrecord


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    source = tmp_path / "nsynth-test.tfrecord"
    source.write_bytes(tfrecord(note(0), note(1)))
    parameters = Parameters(range_bytes=300_000)
    uri, _ = convert([str(source)], root=str(tmp_path), parameters=parameters, num_workers=1)
    return Path(uri)


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


def test_list_takes_a_link_for_what_it_points_to(manifest: Path, tmp_path: Path) -> None:
    elsewhere = manifest.parent.rename(tmp_path / "elsewhere")
    manifest.parent.symlink_to(elsewhere)
    (found,) = list_datasets(str(tmp_path))
    assert (found.manifest and found.manifest.num_notes, found.num_shards) == (2, 2)
    assert manifests_under(str(tmp_path)) == [str(manifest)]


def test_list_says_what_a_broken_link_should_be(manifest: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    (manifest.parent.parent / "linked").symlink_to(gone)
    (manifest.parent.parent / "loop").symlink_to("loop")
    sound, linked, loop = list_datasets(str(tmp_path))
    assert sound.manifest is not None
    assert f"linked is a link to {gone}, which does not exist; put that back" in linked.note
    assert "loop is a link that leads back to itself; remove it" in loop.note
    manifest.unlink()
    manifest.symlink_to(gone)
    assert (
        f"manifest.json is a link to {gone}, which does not" in list_datasets(str(tmp_path))[0].note
    )
    assert manifests_under(str(manifest.parent)) == [str(manifest)]


def test_list_runs_takes_a_link_for_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "run.json").write_text("{}")
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "runs" / "broken").symlink_to(tmp_path / "gone")
    broken, linked = list_runs(str(tmp_path))
    assert "is a link to" in broken.note
    assert "is not the record of a run" in linked.note
