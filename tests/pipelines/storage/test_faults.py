"""Storage over a network that fails: a real S3 server behind a proxy that spoils requests."""

import logging
from collections.abc import Callable
from typing import Literal

import pytest
import s3fs

from pipelines import storage
from pipelines.storage.filesystem import PART_BYTES
from tests.pipelines.storage.faults import SLOW, Fault, Plan, Proxy, first

DATA = bytes(range(256)) * 20
LARGE = bytes(2 * PART_BYTES)
"""Enough for a multipart upload."""


def versions(direct: s3fs.S3FileSystem, bucket: str) -> int:
    """How often anything was written to a bucket that keeps versions."""
    found = direct.call_s3("list_object_versions", Bucket=bucket.removeprefix("s3://"))
    return len(found.get("Versions", []))


def uploads(direct: s3fs.S3FileSystem, bucket: str) -> list[str]:
    return [upload["Key"] for upload in direct.list_multipart_uploads(bucket.removeprefix("s3://"))]


@pytest.fixture
def versioned(direct: s3fs.S3FileSystem, bucket: str) -> str:
    direct.make_bucket_versioned(bucket.removeprefix("s3://"))
    return bucket


def on_first_of_each(fault: Fault) -> Plan:
    def plan(method: str, target: str, nth: int) -> Fault | None:
        del method, target
        return fault if nth == 0 else None

    return plan


def test_put_arrives_whatever_happens(proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str) -> None:
    for fault in Fault:
        proxy.plan = first("PUT", fault, times=1 if fault in SLOW else 2)
        storage.put(f"{bucket}/{fault.name}", DATA)
        assert direct.cat_file(f"{bucket}/{fault.name}") == DATA, fault
    assert proxy.faults.keys() >= set(Fault) - {Fault.SHORT}
    assert set(storage.sizes(bucket)) == {fault.name for fault in Fault}


def test_create_wins_once_whatever_happens(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    for fault in Fault:
        proxy.plan = first("PUT", fault, times=1 if fault in SLOW else 2)
        assert storage.create(f"{bucket}/{fault.name}", DATA), fault
        assert not storage.create(f"{bucket}/{fault.name}", DATA), fault
        assert direct.cat_file(f"{bucket}/{fault.name}") == DATA
    assert proxy.faults.keys() >= set(Fault) - {Fault.SHORT}


Read = Callable[[str], bytes]


def read_as_file(uri: str) -> bytes:
    with storage.open_seekable(uri) as file:
        head = file.read(1000)
        file.seek(2000)
        rest = file.read()
        file.seek(1000)
        return head + file.read(1000) + rest


@pytest.mark.parametrize(
    "read",
    [
        storage.read,
        lambda uri: DATA[:77] + storage.read_range(uri, 77, len(DATA) + 5),
        read_as_file,
    ],
    ids=["read", "read_range", "open_seekable"],
)
def test_read_gives_every_byte_whatever_happens(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str, read: Read
) -> None:
    for fault in set(Fault) - {Fault.DEAF}:
        direct.pipe_file(f"{bucket}/{fault.name}", DATA)
        proxy.plan = first("GET", fault)
        assert read(f"{bucket}/{fault.name}") == DATA, fault
    assert proxy.faults.keys() >= set(Fault) - {Fault.DEAF, Fault.SHORT}


def test_read_range_notices_a_short_answer(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    direct.pipe_file(f"{bucket}/object", DATA)
    proxy.plan = first("GET", Fault.SHORT)
    assert storage.read_range(f"{bucket}/object", 100, 1000) == DATA[100:1000]
    assert proxy.faults == {Fault.SHORT: 1}
    assert storage.read_range(f"{bucket}/object", len(DATA), len(DATA) + 1) == b""


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.LOST])
def test_other_verbs_go_on_whatever_happens(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str, fault: Fault
) -> None:
    direct.pipe_file(f"{bucket}/notes/part", DATA)
    proxy.plan = on_first_of_each(fault)
    assert storage.identity(f"{bucket}/notes/part")[0] == len(DATA)
    assert storage.exists(f"{bucket}/notes/part")
    assert storage.sizes(f"{bucket}/notes") == {"part": len(DATA)}
    assert storage.list_folders(bucket) == ["notes"]
    assert storage.glob(f"{bucket}/notes/p*") == [f"{bucket}/notes/part"]
    storage.remove(f"{bucket}/notes/part")
    assert not storage.exists(f"{bucket}/notes/part")
    assert proxy.faults[fault] >= 4


def test_put_whose_reply_was_lost_is_looked_up_and_not_written_again(
    proxy: Proxy, direct: s3fs.S3FileSystem, versioned: str
) -> None:
    # The second loss is of what aiohttp sends again by itself.
    proxy.plan = first("PUT", Fault.LOST, times=2)
    storage.put(f"{versioned}/object", DATA)
    assert proxy.faults == {Fault.LOST: 2}
    assert versions(direct, versioned) == 2


def test_put_whose_reply_was_lost_takes_the_place_of_another_object(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    direct.pipe_file(f"{bucket}/object", DATA[::-1])
    proxy.plan = first("PUT", Fault.RESET)
    storage.put(f"{bucket}/object", DATA)
    assert direct.cat_file(f"{bucket}/object") == DATA


def test_create_whose_reply_was_lost_has_won(
    proxy: Proxy, direct: s3fs.S3FileSystem, versioned: str
) -> None:
    storage.check_writable(versioned)
    before = versions(direct, versioned)
    proxy.plan = first("PUT", Fault.LOST)
    assert storage.create(f"{versioned}/manifest.json", DATA)
    assert versions(direct, versioned) == before + 1


def test_create_that_failed_before_another_object_came_has_lost(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    storage.check_writable(bucket)
    direct.pipe_file(f"{bucket}/manifest.json", b"another's")
    proxy.plan = first("PUT", Fault.UNAVAILABLE)
    assert not storage.create(f"{bucket}/manifest.json", DATA)
    assert direct.cat_file(f"{bucket}/manifest.json") == b"another's"


def test_create_of_many_parts_has_one_winner(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    assert storage.create(f"{bucket}/large", LARGE)
    assert any("uploadId" in target for _, target, _ in proxy.seen)
    assert not storage.create(f"{bucket}/large", LARGE[:-1] + b"x")
    assert direct.tail(f"{bucket}/large", 1) == b"\0"
    assert uploads(direct, bucket) == []


def test_create_of_many_parts_whose_reply_was_lost_has_won(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    storage.check_writable(bucket)
    proxy.plan = first("POST", Fault.LOST, part="uploadId")
    assert storage.create(f"{bucket}/large", LARGE)
    assert proxy.faults == {Fault.LOST: 1}
    assert direct.size(f"{bucket}/large") == len(LARGE)
    assert uploads(direct, bucket) == []


def test_put_of_many_parts_goes_on_after_a_broken_part(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    proxy.plan = first("PUT", Fault.RESET, part="partNumber=2")
    storage.put(f"{bucket}/large", LARGE)
    assert direct.size(f"{bucket}/large") == len(LARGE)
    assert uploads(direct, bucket) == []


def test_what_fails_each_time_is_one_sentence(
    proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", "3")
    proxy.plan = first("PUT", Fault.SLOW_DOWN, times=99)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ConnectionError, match=r"object failed 3 times: .*reduce your request rate"),
    ):
        storage.put(f"{bucket}/object", DATA)
    assert caplog.text.count("trying again in") == 2


@pytest.mark.parametrize("conditions", ["ignored", "not taken"])
def test_check_writable_warns_where_create_is_not_honoured(
    conditions: Literal["ignored", "not taken"],
    proxy: Proxy,
    direct: s3fs.S3FileSystem,
    bucket: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy.conditions = conditions
    with caplog.at_level(logging.WARNING):
        storage.check_writable(f"{bucket}/root")
        assert storage.create(f"{bucket}/root/manifest.json", b"first")
        assert not storage.create(f"{bucket}/root/manifest.json", b"second")
    assert caplog.text.count("WARNING: ") == 1
    assert f"{bucket}/root cannot create-if-absent" in caplog.text
    assert direct.cat_file(f"{bucket}/root/manifest.json") == b"first"
    assert len(direct.find(bucket)) == 1


def test_check_writable_is_not_misled_by_faults(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    for fault in (Fault.LOST, Fault.RESET, Fault.INTERNAL, Fault.STALL):
        proxy.plan = on_first_of_each(fault)
        storage.check_writable(bucket)
        assert proxy.faults[fault] == 2
    assert "WARNING: " not in caplog.text
    assert direct.find(bucket) == []
