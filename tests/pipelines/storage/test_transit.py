"""What comes from a store with one bit changed is not believed, whatever form a source has."""

import re
from pathlib import Path
from uuid import uuid4

import pytest
import s3fs

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest
from pipelines.convert.job import convert
from pipelines.convert.reading.original_audio import read_original
from pipelines.convert.shards.plan import Parameters
from pipelines.dataset import open_dataset
from tests.pipelines.convert.forms import FORMS, name
from tests.pipelines.convert.records import flipped, note, tfrecord
from tests.pipelines.storage.faults import Proxy

NUMBERS = range(4)
RANGES = Parameters(range_bytes=300_000)


def stored(path: Path, uri: str, direct: s3fs.S3FileSystem) -> str:
    direct.put(str(path), uri, recursive=path.is_dir())
    return uri


def digests(manifest: Manifest) -> tuple[object, ...]:
    return manifest.manifest_digest, manifest.samples_digest, manifest.num_quarantined


def run(source: str, root: Path | str) -> Manifest:
    _, manifest = convert(
        [source], root=str(root), parameters=RANGES, num_workers=1, max_quarantined=0.5
    )
    return manifest


@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("form", FORMS)
def test_one_flipped_bit_of_every_first_reply_changes_nothing(
    form: str, place: float, proxy: Proxy, direct: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    path = FORMS[form](tmp_path, NUMBERS)
    expected = run(str(path), tmp_path / "root")
    direct.call_s3("create_bucket", Bucket="nsynth-transit")
    uri = stored(path, f"s3://nsynth-transit/data/{uuid4()}/{path.name}", direct)
    flipped_parts = set[tuple[str, int, int]]()

    # A gzip file as small as these is read whole, twice, to see what it is.
    first = 2 if uri.endswith(".gz") else 0

    def flip(target: str, nth: int, length: int) -> int | None:
        path, _, range_ = target.partition(" ")
        begin = int((re.findall(r"\d+", range_) or ["0"])[0])
        part = path, nth, (begin + int(length * place)) // 100_000
        # Listings are XML, which its reader checks.
        if (
            nth not in (0, first)
            or part in flipped_parts
            or "/data/" not in path
            or "list-type" in path
        ):
            return None
        flipped_parts.add(part)
        return int(length * place)

    proxy.flip = flip
    found = run(uri, tmp_path / "other")
    assert flipped_parts
    assert digests(found) == digests(expected)


def test_damage_in_the_store_is_set_aside_after_one_more_reading(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str, tmp_path: Path
) -> None:
    path = tmp_path / "nsynth-valid.tfrecord"
    path.write_bytes(tfrecord(note(0)) + flipped(tfrecord(note(1)), 9_999) + tfrecord(note(2)))
    expected = run(str(path), tmp_path / "root")
    assert expected.quarantined == {"payload_crc": 1}
    uri = stored(path, f"{bucket}/data/{path.name}", direct)
    proxy.seen.clear()
    assert digests(run(uri, tmp_path / "other")) == digests(expected)
    begin = len(tfrecord(note(0)))
    end = begin + len(tfrecord(note(1)))
    again = [target for _, target, _ in proxy.seen if target.endswith(f"={begin}-{end - 1}")]
    assert 1 <= len(again) <= 2


def test_read_of_an_object_without_checksum_is_checked_by_its_etag(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    direct.call_s3("put_object", Bucket=bucket.removeprefix("s3://"), Key="object", Body=b"content")
    asked = list[str]()

    def flip(target: str, nth: int, length: int) -> int | None:
        del length
        asked.append(target)
        return 3 if nth == 0 else None

    proxy.flip = flip
    assert storage.read(f"{bucket}/object") == b"content"
    proxy.seen.clear()
    assert storage.read(f"{bucket}/object") == b"content"
    assert len(proxy.seen) == 1


def test_read_of_an_object_with_neither_is_read_twice(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    content = bytes(range(256)) * 2**15
    with direct.open(f"{bucket}/object", "wb", block_size=5 * 2**20) as file:
        file.write(content)
    assert "-" in direct.info(f"{bucket}/object")["ETag"]
    proxy.flip = lambda target, nth, length: length // 2 if nth == 1 else None
    assert storage.read(f"{bucket}/object") == content
    assert storage.read_range(f"{bucket}/object", 5, 5_000, checksum=True) == content[5:5_000]


def test_a_range_that_never_comes_twice_alike_is_an_error(
    proxy: Proxy, bucket: str, direct: s3fs.S3FileSystem
) -> None:
    direct.pipe_file(f"{bucket}/object", bytes(1000))
    proxy.flip = lambda target, nth, length: nth % length
    with pytest.raises(
        OSError, match="object failed 9 times: two readings of the same bytes differ"
    ):
        storage.read_range(f"{bucket}/object", 0, 1000, checksum=True)


def test_scalars_and_samples_are_read_again(
    proxy: Proxy, bucket: str, tmp_path: Path, direct: s3fs.S3FileSystem
) -> None:
    path = FORMS["tfrecord"](tmp_path, NUMBERS)
    uri, _ = convert([str(path)], root=bucket, num_workers=1)
    dataset = open_dataset(uri)
    for _ in range(2):
        # Once as it is, to know; then with each first reply changed.
        table = dataset.read(["note_str", "pitch"])
        audio = dataset.audio([2, 0])
        proxy.flip = lambda target, nth, length: (
            length // 3 if "part-" in target and nth == 1 else None
        )
    assert table["note_str"].to_pylist() == [name(number) for number in NUMBERS]
    assert audio.shape == (2, 8000)


def test_an_original_is_read_again(
    proxy: Proxy, bucket: str, tmp_path: Path, direct: s3fs.S3FileSystem
) -> None:
    path = FORMS["tfrecord"](tmp_path, NUMBERS)
    source = stored(path, f"{bucket}/data/{path.name}", direct)
    _, manifest = convert([source], root=str(tmp_path / "root"), num_workers=1)
    proxy.flip = lambda target, nth, length: length // 2 if nth == 0 and length > 1000 else None
    original = read_original(
        manifest.sources, source_file=path.name, source_offset=0, note_str=name(0)
    )
    assert original is not None
