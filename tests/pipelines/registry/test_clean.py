import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.convert import beam
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.registry.clean import MIN_AGE_SEC, find_abandoned, remove_abandoned
from tests.pipelines.convert.records import note, tfrecord

RANGES = Parameters(range_bytes=300_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "nsynth-test.tfrecord"
    path.write_bytes(tfrecord(note(0), note(1), note(2)))
    return path


@pytest.fixture
def manifest(source: Path, tmp_path: Path) -> Path:
    uri, _ = convert([str(source)], root=str(tmp_path / "root"), parameters=RANGES, num_workers=1)
    return Path(uri)


def grow_old(folder: Path) -> None:
    yesterday = time.time() - MIN_AGE_SEC - 60
    for path in folder.rglob("*"):
        os.utime(path, (yesterday, yesterday), follow_symlinks=False)
        if path.exists():
            os.utime(path, (yesterday, yesterday))


def clean(root: Path, *, min_age_sec: float = MIN_AGE_SEC) -> int:
    return len(remove_abandoned(find_abandoned(str(root), min_age_sec=min_age_sec)))


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.parquet"))


def test_clean_sweeps_a_conversion_that_was_never_committed(manifest: Path, tmp_path: Path) -> None:
    manifest.unlink()
    (manifest.parent / "foreign.parquet").touch()
    found = find_abandoned(str(tmp_path / "root"))
    assert found == []
    grow_old(manifest.parent)
    assert find_abandoned(str(tmp_path / "root"), min_age_sec=2 * MIN_AGE_SEC) == []
    found = find_abandoned(str(tmp_path / "root"))
    assert len(found) == 3
    assert sum(item.stored_bytes for item in found) > 3 * 8000
    assert remove_abandoned(found) == found
    assert remove_abandoned(found) == found
    assert shards(manifest.parent) == ["foreign.parquet"]


def damaged(manifest: Path) -> None:
    manifest.write_text('{"format_version": 99}')


def emptied(manifest: Path) -> None:
    manifest.write_bytes(b"")


def linked(manifest: Path) -> None:
    manifest.symlink_to(manifest.rename(manifest.parent.parent / "elsewhere.json"))


def broken(manifest: Path) -> None:
    manifest.unlink()
    manifest.symlink_to("/mnt/nowhere/manifest.json")


def looped(manifest: Path) -> None:
    manifest.unlink()
    manifest.symlink_to("manifest.json")


def unreadable(manifest: Path) -> None:
    manifest.chmod(0)


def folder(manifest: Path) -> None:
    manifest.unlink()
    manifest.mkdir()


def intact(manifest: Path) -> None:
    del manifest


@pytest.mark.parametrize(
    "change", [intact, damaged, emptied, linked, broken, looped, unreadable, folder]
)
def test_nothing_of_a_folder_with_a_manifest_is_cleaned(
    manifest: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (manifest.parent / "data" / "part-00000-000000000000007.parquet").write_bytes(b"stray")
    change(manifest)
    before = shards(manifest.parent)
    grow_old(tmp_path)
    assert len(before) == 4
    assert clean(tmp_path / "root") == 0
    assert clean(tmp_path / "root", min_age_sec=0) == 0
    assert shards(manifest.parent) == before


def test_clean_leaves_alone_what_a_link_leads_to(manifest: Path, tmp_path: Path) -> None:
    manifest.unlink()
    elsewhere = manifest.parent.rename(tmp_path / "elsewhere")
    manifest.parent.symlink_to(elsewhere)
    grow_old(tmp_path)
    assert clean(tmp_path / "root", min_age_sec=0) == 0
    assert len(shards(elsewhere)) == 3


def test_clean_passes_over_a_folder_that_it_cannot_list(
    manifest: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest.unlink()
    (manifest.parent.parent / "0").symlink_to("/mnt/nowhere")
    grow_old(tmp_path)
    assert clean(tmp_path / "root") == 3
    assert "/0 is a link to /mnt/nowhere, which does not exist" in caplog.text


def test_clean_keeps_the_shards_that_a_running_conversion_builds_on(
    manifest: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversion of yesterday goes on, and in the middle another process cleans."""
    committed = manifest.read_bytes()
    manifest.unlink()
    (manifest.parent / "data" / "part-00000-000000000300000.parquet").unlink()
    grow_old(manifest.parent)
    really, said = beam.run, list[str]()

    def run(*args: object, **options: object) -> None:
        assert len(shards(manifest.parent)) == 2
        for hours in ("0", "24"):
            said.append(
                subprocess.run(
                    [
                        str(Path(sys.executable).parent / "nsynth"),
                        *("clean", str(tmp_path / "root"), "--older-than-hours", hours),
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
        assert len(shards(manifest.parent)) == 2
        really(*args, **options)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(beam, "run", run)
    convert([str(source)], root=str(tmp_path / "root"), parameters=RANGES, num_workers=1)
    assert all("0 objects, 0.0 MiB removed" in text for text in said)
    assert manifest.read_bytes() == committed
    assert not list(manifest.parent.glob(".nsynth*"))


def test_clean_asks_again_before_it_removes(manifest: Path, tmp_path: Path) -> None:
    committed = manifest.read_bytes()
    manifest.unlink()
    grow_old(manifest.parent)
    found = find_abandoned(str(tmp_path / "root"))
    assert len(found) == 3
    with storage.leased(str(manifest.parent), "convert"):
        assert remove_abandoned(found) == []
    manifest.write_bytes(committed)
    assert remove_abandoned(found) == []
    assert len(shards(manifest.parent)) == 3


def test_clean_on_s3_keeps_what_a_lease_protects(bucket: str, direct: s3fs.S3FileSystem) -> None:
    folder = f"{bucket}/root/notes/0123456789abcdef"
    shard = f"{folder}/data/part-00000-000000000000000.parquet"
    storage.put(shard, b"shard")
    assert find_abandoned(f"{bucket}/root") == []
    with storage.leased(folder, "convert"):
        # The clocks of both are one here; a minute makes everything old.
        found = find_abandoned(f"{bucket}/root", min_age_sec=-60)
        assert [item.uri for item in found] == [shard]
        assert remove_abandoned(found) == []
    assert remove_abandoned(found) == found
    assert direct.find(f"{bucket}/root") == []
