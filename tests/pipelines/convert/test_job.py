import gzip
import hashlib
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import s3fs

from pipelines import storage
from pipelines.convert import beam, job
from pipelines.convert.commit.commit import commit
from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters, plan, shard_uri
from pipelines.dataset import open_dataset
from pipelines.decisions import collect_decisions
from pipelines.engines.engine import Engine
from pipelines.errors import ConfigError, DatasetError, ShardError
from pipelines.progress import Progress
from tests.pipelines.convert.records import (
    flipped,
    floats,
    frame,
    header,
    note,
    sound,
    texts,
    tfrecord,
)

RANGES = Parameters(range_bytes=400_000)
"""One or two notes a range."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six notes in four ranges."""
    path = tmp_path / "nsynth-valid.tfrecord"
    path.write_bytes(tfrecord(*[note(number) for number in range(6)]))
    return path


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "root")


def run(source: Path | str, root: str, **options: Any) -> tuple[str, Manifest]:
    given: dict[str, Any] = {"num_workers": 2} | options
    return convert([str(source)], root=root, parameters=RANGES, **given)


def stamps(root: str) -> dict[str, int]:
    """When each file under a root was last written."""
    files = [path for path in Path(root).rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in files}


def written_since(root: str, before: dict[str, int]) -> set[str]:
    changed = stamps(root).items() - before.items()
    return {Path(path).name for path, _ in changed}


def digests(manifest: Manifest) -> tuple[str, str]:
    return manifest.manifest_digest, manifest.samples_digest


def shards(uri: str) -> list[Path]:
    return sorted(Path(uri).parent.glob("data/part-*.parquet"))


def test_convert_says_how_long_ranges_took(
    source: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pipelines"):
        run(source, root)
    assert "converted 4 ranges: " in caplog.text


def test_convert_writes_shards_and_then_the_manifest(source: Path, root: str) -> None:
    uri, manifest = run(source, root)
    assert uri == f"{root}/notes/{manifest.dataset_id}/manifest.json"
    assert (manifest.num_notes, manifest.quarantined) == (6, {})
    assert manifest.record_bytes == manifest.source_bytes == source.stat().st_size
    assert [path.name for path in shards(uri)] == [shard.name for shard in manifest.shards]
    assert len(manifest.shards) == 4
    written = stamps(root)
    assert max(written, key=lambda path: written[path]).endswith("/manifest.json")
    assert load_manifest(uri) == manifest


def test_convert_again_writes_nothing(source: Path, root: str) -> None:
    first = run(source, root)
    before = stamps(root)
    assert run(source, root) == first
    assert stamps(root) == before


def test_convert_again_writes_nothing_to_a_bucket(source: Path, bucket: str) -> None:
    s3, name = s3fs.S3FileSystem(), bucket.removeprefix("s3://")
    s3.make_bucket_versioned(name)
    first = run(source, f"{bucket}/root")
    before = s3.call_s3("list_object_versions", Bucket=name)
    assert run(source, f"{bucket}/root") == first
    after = s3.call_s3("list_object_versions", Bucket=name)
    # Versions and deletions: a probe that was written and removed again would be seen too.
    assert (after["Versions"], after.get("DeleteMarkers")) == (
        before["Versions"],
        before.get("DeleteMarkers"),
    )


def test_convert_with_force_writes_all_and_arrives_at_the_same_digests(
    source: Path, root: str
) -> None:
    _, first = run(source, root)
    before = stamps(root)
    _, second = run(source, root, force=True)
    assert digests(second) == digests(first)
    assert written_since(root, before) == {Path(path).name for path in before}


def test_convert_says_why_it_does_what_it_does(source: Path, root: str) -> None:
    with collect_decisions() as decisions:
        uri, _ = run(source, root)
        run(source, root)
        Path(uri).unlink()
        for shard in shards(uri)[1:]:
            shard.unlink()
        run(source, root)
        run(source, root, force=True)
    assert [(d.stage, d.subject) for d in decisions] == [("convert", source.name)] * 4
    assert [d.action for d in decisions] == ["ran", "reused", "resumed", "ran"]
    assert "converting 3 of 4 ranges" in decisions[2].why
    assert "asked to do so again" in decisions[3].why


@pytest.mark.parametrize("num_workers", [1, 3])
def test_convert_does_not_depend_on_workers_or_root(
    source: Path, tmp_path: Path, num_workers: int
) -> None:
    _, expected = run(source, str(tmp_path / "one"))
    _, found = run(source, str(tmp_path / "two"), num_workers=num_workers)
    assert digests(found) == digests(expected)


def test_convert_from_and_to_a_bucket_gives_the_same_digests(
    source: Path, root: str, bucket: str
) -> None:
    _, expected = run(source, root)
    storage.put_file(source, f"{bucket}/data/{source.name}")
    uri, found = run(f"{bucket}/data/{source.name}", f"{bucket}/root")
    assert digests(found) == digests(expected)
    assert load_manifest(uri) == found
    assert open_dataset(uri).read(["note"]).column("note").to_pylist() == [0, 1, 2, 3, 4, 5]


def test_convert_at_once_ends_with_one_manifest(source: Path, root: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        (first_uri, first), (second_uri, second) = pool.map(lambda _: run(source, root), range(2))
    assert (first_uri, first) == (second_uri, second)
    assert load_manifest(first_uri) == first
    assert open_dataset(first_uri).read(["note"]).num_rows == 6
    assert not [path for path in stamps(root) if Path(path).name.startswith(".")]


def test_convert_goes_on_where_it_stopped(source: Path, root: str) -> None:
    uri, expected = run(source, root)
    # As a crash leaves it: no manifest, one shard never written.
    Path(uri).unlink()
    lost = shards(uri)[1]
    lost.unlink()
    before = stamps(root)
    _, found = run(source, root)
    assert digests(found) == digests(expected)
    assert written_since(root, before) == {"manifest.json", "README.md", lost.name}


@pytest.mark.parametrize("part", ["page", "summary", "end"])
def test_convert_again_replaces_a_damaged_shard(
    source: Path, root: str, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    uri, expected = run(source, root)
    Path(uri).unlink()
    damaged = shards(uri)[2]
    data = damaged.read_bytes()
    place = {"page": len(data) // 2, "summary": data.index(b"record_bytes"), "end": -6}[part]
    damaged.write_bytes(flipped(data, place))
    before = stamps(root)
    with caplog.at_level(logging.WARNING):
        _, found = run(source, root)
    assert f"converting its range again: {damaged} is damaged" in caplog.text
    assert digests(found) == digests(expected)
    assert written_since(root, before) == {"manifest.json", "README.md", damaged.name}


@pytest.mark.parametrize("content", ['{"format_version": 99}', "", "{}"])
def test_convert_with_force_replaces_a_manifest_that_nobody_can_read(
    source: Path, root: str, content: str
) -> None:
    uri, expected = run(source, root)
    Path(uri).write_text(content)
    with pytest.raises(DatasetError, match="manifest"):
        run(source, root)
    _, found = run(source, root, force=True)
    assert load_manifest(uri) == found == expected


def test_convert_with_force_replaces_a_manifest_that_was_changed(source: Path, root: str) -> None:
    uri, expected = run(source, root)
    Path(uri).write_text(Path(uri).read_text().replace("nsynth-", "other-"))
    with pytest.raises(DatasetError, match=r"was changed after it was written; .* with --force"):
        run(source, root)
    assert run(source, root, force=True) == (uri, expected)


def test_convert_reports_progress_to_the_end(source: Path, root: str) -> None:
    seen = list[Progress]()
    run(source, root, on_progress=seen.append)
    assert (seen[-1].stage, seen[-1].done, seen[-1].total) == (
        "convert nsynth-valid.tfrecord",
        4,
        4,
    )
    assert seen[-1].detail.endswith(" MB/s")
    done = [progress.done for progress in seen]
    assert done == sorted(done)


def test_report_progress_reports_a_shard_before_the_end(
    source: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_POLL_SEC", 0.01)
    planned = plan([str(source)], root=root, parameters=RANGES)
    ranges, reported = list(planned.ranges()), threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.done == 1:
            reported.set()

    with job.report_progress(planned, ranges, on_progress):
        storage.put(shard_uri(planned.folder, ranges[0].shard_name), b"a shard")
        assert reported.wait(10)


def everything_wrong() -> tuple[bytes, dict[str, int], list[int]]:
    """A file with each kind of damage, what is found by reason, and the notes that are left."""
    nan = sound(1)
    nan[7] = np.nan
    inner = tfrecord(*[note(90 + i, audio=floats(sound(0)[:9])) for i in range(3)])
    record = frame(note(50))
    parts = [
        (tfrecord(note(0)), None),
        (flipped(record, 0), "length_crc"),
        (tfrecord(note(1)), None),
        (flipped(record, 9), "length_crc"),
        (tfrecord(note(2)), None),
        (flipped(record, 99_999), "payload_crc"),
        (flipped(record, -1), "payload_crc"),
        (tfrecord(note(3)), None),
        (header(MAX_RECORD_BYTES + 1), "record_too_long"),
        (tfrecord(note(4)), None),
        (bytes(500_000), "length_crc"),
        (frame(b"no message"), "unparsable"),
        (frame(note(51, velocity=None)), "missing_feature"),
        (frame(note(51, pitch=texts(b"60"))), "wrong_type"),
        (frame(note(51, audio=floats(sound(0)[:63_999]))), "wrong_length"),
        # Ranges begin in this payload and are misled by the records in it.
        (frame(b"x" * 300_000 + inner + b"y" * 500_000), "unparsable"),
        (frame(note(51, audio=floats(nan))), "not_finite"),
        (frame(note(51, audio=floats(sound(0) * 1e6))), "out_of_range"),
        (frame(note(51, note_str=texts(b"\xe9"))), "not_text"),
        (tfrecord(note(5)), None),
        (b"<html>502 Bad Gateway</html>", "length_crc"),
        (tfrecord(note(6)), None),
        (frame(note(52))[:-1000], "truncated"),
    ]
    found = [reason for _, reason in parts if reason is not None]
    return (
        b"".join(data for data, _ in parts),
        {reason: found.count(reason) for reason in sorted(set(found))},
        [0, 1, 2, 3, 4, 5, 6],
    )


@pytest.mark.parametrize("range_bytes", [150_000, 1_000_000, 10**9])
def test_convert_counts_all_damage_and_keeps_every_sound_note(
    tmp_path: Path, range_bytes: int
) -> None:
    data, reasons, kept = everything_wrong()
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(data)
    uri, manifest = convert(
        [str(path)],
        root=str(tmp_path / "root"),
        parameters=Parameters(range_bytes=range_bytes),
        num_workers=2,
        max_quarantined=1,
    )
    assert manifest.quarantined == reasons
    assert open_dataset(uri).read(["note"]).column("note").to_pylist() == kept
    assert manifest.record_bytes + manifest.skipped_bytes == len(data)
    quarantine = [
        row
        for file in sorted((Path(uri).parent / "quarantine").iterdir())
        for row in pq.read_table(file).to_pylist()
    ]
    assert len(quarantine) == manifest.num_quarantined
    assert sorted({row["reason"] for row in quarantine}) == list(reasons)


def test_convert_lists_skipped_bytes_with_their_digest(tmp_path: Path) -> None:
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(tfrecord(note(0)) + b"foreign bytes" + tfrecord(note(1)))
    uri, manifest = run(path, str(tmp_path / "root"), max_quarantined=0.5)
    (row,) = pq.read_table(Path(uri).parent / "quarantine/spans.parquet").to_pylist()
    (span,) = manifest.spans
    assert (row["offset"], row["length"], row["reason"]) == (span.offset, 13, "length_crc")
    assert row["sha256"] == hashlib.sha256(b"foreign bytes").hexdigest()


def test_convert_over_the_limit_commits_nothing_until_it_is_raised(
    tmp_path: Path, root: str
) -> None:
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(tfrecord(note(0), note(1, pitch=None), note(2), note(3)))
    message = (
        r"1 record or span of .*damaged.tfrecord cannot become notes, 25.0% where 1.0% is allowed: "
        r"missing_feature 1, the first in damaged.tfrecord at 256409: there is no feature 'pitch'; "
        r"found 'audio', .*; nsynth quarantine .* lists them, --max-quarantined allows more$"
    )
    with pytest.raises(DatasetError, match=message):
        run(path, root)
    before = stamps(root)
    assert "manifest.json" not in {Path(name).name for name in before}
    uri, manifest = run(path, root, max_quarantined=0.25)
    assert written_since(root, before) == {"manifest.json", "README.md"}
    assert manifest.num_notes == 3
    assert load_manifest(uri) == manifest


def test_convert_refuses_with_the_first_detail_of_each_reason(tmp_path: Path, root: str) -> None:
    path = tmp_path / "damaged.tfrecord"
    begin = len(tfrecord(note(0)))
    spoilt = [note(1, pitch=texts(b"60")), note(2, pitch=texts(b"61")), note(3, velocity=None)]
    path.write_bytes(tfrecord(note(0)) + b"foreign bytes" + tfrecord(*spoilt))
    with pytest.raises(DatasetError) as caught:
        run(path, root)
    for detail in (
        f"length_crc 1, the first in damaged.tfrecord at {begin}: 13 bytes hold no record; ",
        f"wrong_type 2, the first in damaged.tfrecord at {begin + 13}: feature 'pitch' is text",
        "missing_feature 1, the first in damaged.tfrecord at ",
        "there is no feature 'velocity'",
    ):
        assert detail in str(caught.value)


@pytest.mark.parametrize("range_bytes", [10**6, 10**9])
def test_convert_refuses_a_source_without_a_note_whatever_its_share(
    tmp_path: Path, root: str, range_bytes: int
) -> None:
    sound = tmp_path / "nsynth-valid.tfrecord"
    sound.write_bytes(tfrecord(*[note(number) for number in range(6)]))
    others = [tmp_path / f"other-{number}.tfrecord" for number in range(5)]
    for other in others:
        other.write_bytes(bytes(9))
    message = (
        r"no note was found in .*/other-0.tfrecord, .*/other-1.tfrecord, .*/other-2.tfrecord and 2 "
        r"more \(truncated 5, the first in other-0.tfrecord at 0: 9 bytes hold no record\); "
        r"name the other sources only, or put the right files in their place$"
    )
    for max_quarantined in (0.9, 1):
        with pytest.raises(DatasetError, match=message):
            convert(
                [str(path) for path in (others[0], sound, *others[1:])],
                root=root,
                parameters=Parameters(range_bytes=range_bytes),
                num_workers=1,
                max_quarantined=max_quarantined,
            )
    assert not list(Path(root).rglob("manifest.json"))


def test_convert_refuses_one_stream_of_two_that_is_empty(source: Path, root: str) -> None:
    empty = source.with_name("empty.tfrecord.gz")
    empty.write_bytes(gzip.compress(b"", mtime=0))
    message = r"no note was found in .*/empty.tfrecord.gz \(nothing is in it\); name the other sou"
    with pytest.raises(DatasetError, match=message):
        convert([str(source), str(empty)], root=root, num_workers=1)


def test_convert_counts_a_hole_by_its_bytes(tmp_path: Path, root: str) -> None:
    path = tmp_path / "hole.tfrecord"
    data = tfrecord(*[note(number) for number in range(5)])
    path.write_bytes(data + bytes(len(data)) + frame(note(5)))
    with pytest.raises(DatasetError, match=r"1 record or span .* 45.5% where 20.0% is allowed"):
        run(path, root, max_quarantined=0.2)


def test_convert_refuses_a_file_without_a_record(tmp_path: Path, root: str) -> None:
    path = tmp_path / "notes.bin"
    path.write_bytes(bytes(15_000))
    message = (
        r"no note was found in .*notes.bin \(length_crc 1, the first in notes.bin at 0: 15000 "
        r"bytes hold no record\); expected a TFRecord file of NSynth, or its examples.json and wav"
    )
    with pytest.raises(DatasetError, match=message):
        run(path, root)


def test_convert_refuses_bad_requests_before_any_work(
    source: Path, root: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    requests: list[tuple[Path, str, dict[str, Any], str]] = [
        (tmp_path / "none", root, {}, "there is no file .*none; check the path"),
        (tmp_path / "file", root, {}, "file is empty; expected a TFRecord file"),
        (tmp_path, root, {}, "there is no examples.json in the folder .*; name TFRecord files"),
        (source, str(tmp_path / "file"), {}, "cannot use .*: Not a directory; check the path"),
        (source, "/proc/nsynth", {}, "cannot make the folder /proc/nsynth/notes/"),
        (source, root, {"max_quarantined": 1.5}, "max_quarantined must be from 0 to 1, got 1.5"),
        (
            source,
            root,
            {"engine": Engine("dataflow", {"template_location": "gs://b/t"})},
            "a template does not run, and a data set needs what it would make: write it with",
        ),
        (
            source,
            root,
            {"engine": Engine("portable", {"job_endpoint": "127.0.0.1:1"})},
            "the workers of portable are other processes, which may not see /",
        ),
        (source, root, {"engine": Engine("local", {"paralelism": "2"})}, "no option paralelism; "),
    ]
    for path, where, options, message in requests:
        with pytest.raises(ConfigError, match=message):
            run(path, where, **options)
    assert not Path(root).exists()


def test_convert_refuses_an_unknown_bucket(source: Path, root: str, s3_environment: None) -> None:
    for path, where in [("s3://no-such-bucket/x", root), (str(source), "s3://no-such-bucket/x")]:
        with pytest.raises(ConfigError, match="there is no bucket 'no-such-bucket' for s3://no"):
            run(path, where)


def test_commit_refuses_a_source_that_changed(source: Path, root: str) -> None:
    planned = plan([str(source)], root=root, parameters=RANGES)
    beam.run(list(planned.ranges()), folder=planned.folder, num_workers=2)
    os.utime(source, (1, 1))
    with pytest.raises(DatasetError, match=r"valid.tfrecord changed while it was converted; conve"):
        commit(planned)
    assert not storage.exists(planned.manifest_uri)


def test_commit_refuses_another_manifest_in_its_place(source: Path, root: str) -> None:
    uri, manifest = run(source, root)
    # The same request, read by a faulty machine.
    other = source.with_name("other.tfrecord")
    other.write_bytes(tfrecord(*[note(number) for number in range(7, 13)]))
    other_uri, _ = run(other, root)
    Path(uri).write_bytes(Path(other_uri).read_bytes())
    planned = plan([str(source)], root=root, parameters=RANGES)
    with pytest.raises(ShardError, match=rf"this conversion found {manifest.manifest_digest}; "):
        commit(planned)


def test_run_raises_a_workers_error_as_it_was(
    source: Path, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    planned = plan([str(source)], root=root, parameters=RANGES)
    ranges = list(planned.ranges())
    source.unlink()
    with pytest.raises(ConfigError, match=f"^there is no file {source}; check the path$"):
        beam.run(ranges, folder=planned.folder, num_workers=2)
    assert "Traceback" not in caplog.text


def test_run_leaves_input_errors_to_a_retry(source: Path, root: str) -> None:
    planned = plan([str(source)], root=root, parameters=RANGES)
    ranges = list(planned.ranges())
    source.write_bytes(source.read_bytes()[:500_000])
    with pytest.raises(OSError, match="the source ends at byte 500000 but had"):
        beam.run(ranges, folder=planned.folder, num_workers=2)
