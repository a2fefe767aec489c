import errno
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.train.cache import _disk_full_explained, _write_blocks, cached_audio
from tests.pipelines.train.tiny import commit_notes, tone

NOTES = [(0, "bass"), (1, "vocal"), (2, "bass")]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return open_dataset(commit_notes(tmp_path, "tiny", NOTES))


def with_num_notes(dataset: Dataset, num_notes: int) -> Dataset:
    return replace(dataset, manifest=replace(dataset.manifest, num_notes=num_notes))


def test_cached_audio_is_the_shards_samples_in_order(dataset: Dataset, tmp_path: Path) -> None:
    audio = cached_audio(dataset, tmp_path / "cache")
    np.testing.assert_array_equal(audio, [tone(*note) for note in NOTES])
    assert audio.dtype == np.float32
    assert not audio.flags.writeable


def test_cached_audio_is_built_once(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cached_audio(dataset, tmp_path / "cache")
    for shard in Path(dataset.manifest_uri).parent.glob("*.parquet"):
        shard.unlink()
    cached_audio(dataset, tmp_path / "cache")
    assert [line.split(" the audio cache ")[0] for line in caplog.messages] == [
        "building",
        "reusing",
    ]
    assert str(tmp_path / "cache") in caplog.text


@pytest.mark.parametrize("suffix", [".f32", ".json"])
def test_cached_audio_builds_again_what_is_cut(
    dataset: Dataset, tmp_path: Path, suffix: str
) -> None:
    expected = np.array(cached_audio(dataset, tmp_path))
    [path] = tmp_path.glob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:-5])
    np.testing.assert_array_equal(cached_audio(dataset, tmp_path), expected)


def test_cached_audio_builds_again_what_another_format_wrote(
    dataset: Dataset, tmp_path: Path
) -> None:
    cached_audio(dataset, tmp_path)
    [sidecar] = tmp_path.glob("*.json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"format_version": 0}))
    cached_audio(dataset, tmp_path)
    assert json.loads(sidecar.read_text())["format_version"] == 1


def test_cached_audio_leaves_nothing_but_the_cache(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cached_audio(dataset, folder)
    assert sorted(path.suffix for path in folder.iterdir()) == [".f32", ".json"]


def test_cached_audio_refuses_another_number_of_notes(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with pytest.raises(DatasetError, match=r"expected 4 notes .* by its manifest, found 3"):
        cached_audio(with_num_notes(dataset, 4), folder)
    assert list(folder.iterdir()) == []


def test_cached_audio_refuses_an_empty_data_set(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no notes"):
        cached_audio(with_num_notes(dataset, 0), tmp_path)


def test_cached_audio_says_what_does_not_fit_before_writing(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    with pytest.raises(ConfigError, match=r"needs 32000000000\.0 GB in .* GB are free"):
        cached_audio(with_num_notes(dataset, 10**15), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_cached_audio_explains_a_disk_that_fills_up(tmp_path: Path) -> None:
    block = np.zeros((1, 8000), np.float32)
    with (
        pytest.raises(ConfigError, match="name a folder on another disk"),
        _disk_full_explained(tmp_path, 1),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        _write_blocks(iter([block]), full)


def test_cached_audio_leaves_other_failures_to_a_retry(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broken"), _disk_full_explained(tmp_path, 1):
        raise OSError(errno.EIO, "broken")


def test_cached_audio_removes_what_a_killed_build_left(dataset: Dataset, tmp_path: Path) -> None:
    digest = dataset.manifest.manifest_digest
    dead, alive = tmp_path / f"{digest}.a.part", tmp_path / f"{digest}.b.part"
    for part in (dead, alive):
        part.touch()
    os.utime(dead, (0, 0))
    cached_audio(dataset, tmp_path)
    assert (dead.exists(), alive.exists()) == (False, True)
