import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import ConfigError, DatasetError, ShardError
from pipelines.train.samples.cache import (
    cache_name,
    cached_audio,
    explain_disk_errors,
)
from tests.pipelines.datasets import row, samples, store

NUM_NOTES, NOTES_PER_SHARD = 10, 3
NOTE_BYTES = 8_000 * 4
EXPECTED = samples(NUM_NOTES)
BUILT = [".f32", ".json", ".lock"]

BUILD = """
import logging, sys
import numpy as np
from pathlib import Path
from pipelines.dataset import open_dataset
from pipelines.train.samples.cache import cached_audio
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
print(np.asarray(cached_audio(open_dataset(sys.argv[1]), Path(sys.argv[2]))).sum(dtype=float))
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Ten notes in shards of three, three, three and one."""
    rows = [row(number) for number in range(NUM_NOTES)]
    return open_dataset(store(tmp_path / "notes", rows, notes_per_shard=NOTES_PER_SHARD))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def shards(dataset: Dataset) -> list[Path]:
    return sorted(Path(dataset.manifest_uri).parent.glob("data/*.parquet"))


def suffixes(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def spoil(path: Path, *, note: int) -> None:
    with path.open("r+b") as file:
        file.seek(note * NOTE_BYTES + 5)
        file.write(b"\xff")


@pytest.mark.parametrize("num_samples", [1_000, 64_000])
def test_cached_audio_has_the_length_of_the_data_set(
    tmp_path: Path, folder: Path, num_samples: int
) -> None:
    audio = np.random.default_rng(0).normal(size=(5, num_samples)).astype(np.float32)
    rows = [row(number) for number in range(5)]
    dataset = open_dataset(store(tmp_path / "notes", rows, notes_per_shard=2, audio=audio))
    for _ in range(2):
        cached = cached_audio(dataset, folder)
        assert cached.shape == (5, num_samples)
        assert cached.nbytes == audio.nbytes == only(folder, ".f32").stat().st_size
        np.testing.assert_array_equal(np.asarray(cached), audio)
        np.testing.assert_array_equal(cached[np.array([4, 0])], audio[[4, 0]])
    np.testing.assert_array_equal(np.concatenate(list(dataset.iter_audio())), audio)
    np.testing.assert_array_equal(dataset.audio([3, 1]), audio[[3, 1]])


def only(folder: Path, suffix: str) -> Path:
    [path] = folder.glob(f"*{suffix}")
    return path


def test_cached_audio_is_the_shards_samples_in_order(dataset: Dataset, folder: Path) -> None:
    audio = cached_audio(dataset, folder)
    np.testing.assert_array_equal(audio, EXPECTED)
    assert np.asarray(audio).dtype == np.float32
    rows = np.array([9, 0, 9])
    np.testing.assert_array_equal(audio[rows], EXPECTED[rows])
    assert (len(audio), audio.shape, audio.nbytes) == (10, (10, 8000), EXPECTED.nbytes)
    assert suffixes(folder) == BUILT


def test_cached_audio_is_built_once(
    dataset: Dataset, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "pipelines")
    cached_audio(dataset, folder)
    for shard in shards(dataset):
        shard.unlink()
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)
    assert [line.split(" the audio cache ")[0] for line in caplog.messages] == [
        "building",
        "built",
        "reusing",
    ]
    assert str(folder) in caplog.text


@pytest.mark.parametrize("note", [0, 4, 9])
def test_cached_audio_is_built_again_where_a_byte_is_damaged(
    dataset: Dataset, folder: Path, note: int, caplog: pytest.LogCaptureFixture
) -> None:
    cached_audio(dataset, folder)
    spoil(only(folder, ".f32"), note=note)
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)
    assert caplog.text.count("is damaged; it is built again") == 1


@pytest.mark.parametrize("size", [0, 3 * NOTE_BYTES, 10 * NOTE_BYTES - 1])
def test_cached_audio_mends_what_is_cut(dataset: Dataset, folder: Path, size: int) -> None:
    cached_audio(dataset, folder)
    os.truncate(only(folder, ".f32"), size)
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)


def test_cached_audio_keeps_samples_of_two_platforms_apart(dataset: Dataset, folder: Path) -> None:
    cached_audio(dataset, folder)
    other = replace(dataset, manifest=replace(dataset.manifest, samples_digest="another"))
    cached_audio(other, folder)
    assert suffixes(folder) == sorted(2 * BUILT)


def test_cached_audio_is_built_again_after_kill_9(dataset: Dataset, folder: Path) -> None:
    command = [sys.executable, "-c", BUILD, dataset.manifest_uri, str(folder)]
    # A pipe in the place of a shard blocks its reader, so that the process dies in the middle.
    hole = shards(dataset)[1]
    stored = hole.read_bytes()
    hole.unlink()
    os.mkfifo(hole)
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert "from 4 shards" in running.stdout.readline()
    while not list(folder.glob("*.part")):
        assert running.poll() is None
    running.kill()
    running.communicate()
    assert suffixes(folder) == [".json", ".lock", ".part"]
    hole.unlink()
    hole.write_bytes(stored)
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)
    assert suffixes(folder) == BUILT


def test_cached_audio_of_several_processes_is_built_by_one(dataset: Dataset, folder: Path) -> None:
    command = [sys.executable, "-c", BUILD, dataset.manifest_uri, str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert "".join(outputs).count("building the audio cache") == 1
    assert {float(output.splitlines()[-1]) for output in outputs} == {EXPECTED.sum(dtype=float)}
    assert suffixes(folder) == BUILT


def test_cached_audio_refuses_a_shard_of_other_samples(dataset: Dataset, folder: Path) -> None:
    listed = dataset.manifest.shards
    other = (replace(listed[0], samples_digest="0" * 32), *listed[1:])
    with pytest.raises(ShardError, match=r"part-.* do not have the digest .*; convert again"):
        cached_audio(replace(dataset, manifest=replace(dataset.manifest, shards=other)), folder)
    assert not list(folder.glob("*.f32"))


def test_cached_audio_refuses_an_empty_data_set(tmp_path: Path, folder: Path) -> None:
    empty = open_dataset(store(tmp_path / "empty", [], notes_per_shard=1))
    with pytest.raises(DatasetError, match="holds no notes"):
        cached_audio(empty, folder)


def test_cached_audio_says_what_does_not_fit_before_writing(dataset: Dataset, folder: Path) -> None:
    huge = (replace(dataset.manifest.shards[0], num_notes=10**15), *dataset.manifest.shards[1:])
    with pytest.raises(
        ConfigError, match=r"needs 3\.2e\+10 GB in .* GB are free: No space .* with NSYNTH_CACHE$"
    ):
        cached_audio(replace(dataset, manifest=replace(dataset.manifest, shards=huge)), folder)
    assert suffixes(folder) == [".json", ".lock"]


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_cached_audio_explains_a_limit_on_files(dataset: Dataset, folder: Path) -> None:
    with (
        largest_file(5 * NOTE_BYTES),
        pytest.raises(ConfigError, match="free: File too large; free some, or name a folder"),
    ):
        cached_audio(dataset, folder)
    assert suffixes(folder) == [".json", ".lock"]


def test_cached_audio_explains_a_folder_that_cannot_be_made(
    dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write the audio cache to .*NSYNTH_CACHE$"):
        cached_audio(dataset, tmp_path / "file" / "cache")


def test_cached_audio_leaves_other_failures_to_a_retry(folder: Path) -> None:
    with pytest.raises(OSError, match="broken"), explain_disk_errors(folder / "x", 1):
        raise OSError(5, "broken")


def test_cached_audio_says_beside_it_what_it_is_made_from(dataset: Dataset, folder: Path) -> None:
    cached_audio(dataset, folder)
    assert json.loads(only(folder, ".json").read_text()) == {
        "manifest_uri": dataset.manifest_uri,
        "num_notes": NUM_NOTES,
        "num_samples": 8_000,
    }


CUT = """
import os, sys
from pathlib import Path
import numpy as np
from pipelines.dataset import open_dataset
from pipelines.train.samples.cache import cached_audio
audio = cached_audio(open_dataset(sys.argv[1]), Path(sys.argv[2]))
[path] = Path(sys.argv[2]).glob("*.f32")
os.truncate(path, int(sys.argv[3]))
try:
    audio[np.array([0, 9])]
except OSError as err:
    print(err)
"""


@pytest.mark.parametrize("size", [0, 9 * NOTE_BYTES + 7])
def test_a_cache_cut_short_in_use_is_a_sentence_and_mended(
    dataset: Dataset, folder: Path, size: int
) -> None:
    """In a process of its own: a memory map would end it by SIGBUS."""
    command = [sys.executable, "-c", CUT, dataset.manifest_uri, str(folder), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"ends at byte {size} and had 320000 when it was opened; another" in done.stdout
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)


@pytest.mark.parametrize("suffix", ["", ".part"])
@pytest.mark.parametrize("kind", ["link", "broken link", "loop", "pipe", "hard link"])
def test_cached_audio_follows_no_link(
    dataset: Dataset, folder: Path, suffix: str, kind: str, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"somebody else's")
    folder.mkdir()
    place = folder / f"{cache_name(dataset)}{suffix}"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "hard link":
        os.link(precious, place)
    else:
        target = {"link": precious, "broken link": tmp_path / "new", "loop": place}[kind]
        place.symlink_to(target)
    np.testing.assert_array_equal(cached_audio(dataset, folder), EXPECTED)
    assert precious.read_bytes() == b"somebody else's"
    assert not (tmp_path / "new").exists()
    assert suffixes(folder) == BUILT
    assert only(folder, ".f32").lstat().st_nlink == 1


def test_cached_audio_replaces_a_link_of_its_note(
    dataset: Dataset, folder: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"somebody else's")
    folder.mkdir()
    (folder / cache_name(dataset)).with_suffix(".json").symlink_to(precious)
    cached_audio(dataset, folder)
    assert precious.read_bytes() == b"somebody else's"
    assert not only(folder, ".json").is_symlink()


def test_cached_audio_explains_a_folder_in_its_place(dataset: Dataset, folder: Path) -> None:
    (folder / cache_name(dataset)).mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"cannot write the audio cache to .*: Is a directory"):
        cached_audio(dataset, folder)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_cached_audio_honours_the_umask(
    dataset: Dataset, folder: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        cached_audio(dataset, folder)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {mode}
