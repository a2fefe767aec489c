import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert.commit.manifest import Account, Manifest, load_manifest, make_manifest
from pipelines.convert.formats.tfrecord import Position, Span
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan
from pipelines.convert.shards.shard import ShardSummary
from pipelines.errors import ConfigError, DatasetError

SHARD = ShardSummary(
    file=0,
    begin=0,
    end=1000,
    entry=Position(0, synced=True),
    first_header=0,
    exit=Position(1000, synced=True),
    num_notes=3,
    record_bytes=900,
    spans=(Span(900, 100, "truncated"),),
    quarantined={"not_text": 1, "wrong_length": 2},
    quarantine_digest="q",
    notes_digest="n",
    samples_digest="s",
)
SOURCE = Source("nsynth-valid.tfrecord", "/data/nsynth-valid.tfrecord", 1000, "1.0")


def manifest(
    shard: ShardSummary = SHARD, source: Source = SOURCE, folder: str = "/root/notes/id"
) -> Manifest:
    plan = Plan("id", folder, (source,), Parameters(range_bytes=1000))
    return make_manifest(plan, [shard], [Account(1000, 900, shard.spans)])


def test_load_manifest_refuses_a_source_with_credentials_and_does_not_repeat_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "manifest.json"
    source = dataclasses.replace(SOURCE, uri="https://host/x.tfrecord?api_key=hunter2")
    path.write_text(manifest(source=source).to_json())
    with pytest.raises(DatasetError, match="names a source whose loc") as raised:
        load_manifest(str(path))
    assert "hunter2" not in str(raised.value)


def test_make_manifest_adds_up() -> None:
    made = manifest()
    assert (made.num_notes, made.num_quarantined) == (3, 4)
    assert made.quarantined == {"not_text": 1, "truncated": 1, "wrong_length": 2}
    assert made.record_bytes + made.skipped_bytes == made.source_bytes == 1000
    assert [span.source_file for span in made.spans] == ["nsynth-valid.tfrecord"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (manifest(folder="s3://bucket/notes/id"), True),
        (manifest(source=dataclasses.replace(SOURCE, uri="s3://b/nsynth", tag="etag")), True),
        (manifest(dataclasses.replace(SHARD, samples_digest="other")), True),
        (manifest(source=dataclasses.replace(SOURCE, name="nsynth-test.tfrecord")), False),
        (manifest(dataclasses.replace(SHARD, notes_digest="other")), False),
        (manifest(dataclasses.replace(SHARD, quarantine_digest="other")), False),
        (manifest(dataclasses.replace(SHARD, spans=(Span(900, 100, "length_crc"),))), False),
    ],
    ids=["folder", "place", "samples", "name", "notes", "quarantine", "spans"],
)
def test_manifest_digest_is_of_what_was_read(other: Manifest, same: bool) -> None:
    assert (other.manifest_digest == manifest().manifest_digest) is same


def test_samples_digest_is_of_the_stored_samples() -> None:
    other = manifest(dataclasses.replace(SHARD, samples_digest="other"))
    assert other.samples_digest != manifest().samples_digest


def test_load_manifest_gives_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(manifest().to_json())
    assert load_manifest(str(path)) == manifest()


Change = Callable[[dict[str, Any]], Any]

TAMPERED: dict[str, Change] = {
    "a note more": lambda m: m["shards"][0].update(num_notes=4),
    "another digest": lambda m: m.update(manifest_digest="0"),
    "no span": lambda m: m["spans"].clear(),
    "more notes in all": lambda m: m.update(num_notes=5),
    "fewer records set aside": lambda m: m.update(num_quarantined=0),
    "another reason": lambda m: m["quarantined"].update(truncated=9),
    "more bytes in records": lambda m: m.update(record_bytes=901),
    "fewer bytes skipped": lambda m: m.update(skipped_bytes=0),
    "a larger source": lambda m: m["sources"][0].update(size=1001),
    "other samples": lambda m: m["shards"][0].update(samples_digest="other"),
}
OF_FORMAT_2: dict[str, Change] = {
    "another place": lambda m: m["sources"][0].update(uri="http://127.0.0.1:9/nsynth.tfrecord"),
    "another tag": lambda m: m["sources"][0].update(tag="2"),
    "another form": lambda m: m["sources"][0].update(form="json_wav"),
    "a key more": lambda m: m.update(surprise=1),
}


def written(folder: Path, change: Change, *, format_version: int) -> str:
    """A manifest that was changed after it was written; format 1 has no seal."""
    content = json.loads(manifest().to_json())
    if format_version == 1:
        del content["content_digest"]
    content["format_version"] = format_version
    change(content)
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return str(path)


def unchanged(content: dict[str, Any]) -> None:
    """Leave it as it is."""


def test_load_manifest_reads_the_format_before(tmp_path: Path) -> None:
    found = load_manifest(written(tmp_path, unchanged, format_version=1))
    assert found == dataclasses.replace(manifest(), format_version=1)


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
def test_load_manifest_notices_a_change_without_its_seal(tmp_path: Path, change: Change) -> None:
    with pytest.raises(DatasetError, match=r"manifest.json was changed after it was written; conv"):
        load_manifest(written(tmp_path, change, format_version=1))


@pytest.mark.parametrize("change", (TAMPERED | OF_FORMAT_2).values(), ids=TAMPERED | OF_FORMAT_2)
def test_load_manifest_notices_any_change_by_its_seal(tmp_path: Path, change: Change) -> None:
    with pytest.raises(DatasetError, match=r"manifest.json was changed after it was written; "):
        load_manifest(written(tmp_path, change, format_version=2))


WRONG: dict[str, tuple[Change, str]] = {
    "newer": (
        lambda m: m.update(format_version=3),
        "expected format_version 1 or 2 in .*manifest.json, found 3; use the version",
    ),
    "no version": (lambda m: m.pop("format_version"), "not a manifest: its format_version is None"),
    "true": (lambda m: m.update(format_version=True), "its format_version is True"),
    "no shards": (lambda m: m.pop("shards"), "not a manifest: shards: field required; name the"),
    "a text": (lambda m: m.update(num_notes="3"), "num_notes: input should be a valid integer"),
    "below 0": (lambda m: m.update(num_notes=-1), "num_notes: input should be greater than or eq"),
    "more": (lambda m: m.update(surprise=1), "surprise: unexpected keyword argument"),
    "a shard elsewhere": (
        lambda m: m["shards"][0].update(name="../../../part-00000-000000000000000.parquet"),
        r"shards.0.name: '../../../part-.*' is not a name of letters",
    ),
    "a digest elsewhere": (lambda m: m.update(samples_digest="../x"), "samples_digest: '../x' is"),
    "a data set elsewhere": (lambda m: m.update(dataset_id="/etc"), "dataset_id: '/etc' is not a"),
    "a range of no bytes": (
        lambda m: m["parameters"].update(range_bytes=0),
        "range_bytes must be at least 1, got 0",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_load_manifest_says_what_is_wrong(tmp_path: Path, change: Change, message: str) -> None:
    uri = written(tmp_path, unchanged, format_version=1)
    content = json.loads(Path(uri).read_text())
    change(content)
    Path(uri).write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        load_manifest(uri)


@pytest.mark.parametrize(
    "content", ["", "[1]", "{}", "PAR1", manifest().to_json()[:-100], "[" * 100_000, "\0" * 99]
)
def test_load_manifest_refuses_what_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"is not a manifest: .*; name the manifest\.json of a"):
        load_manifest(str(path))


def test_load_manifest_says_where_none_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*manifest.json; check the path"):
        load_manifest(str(tmp_path / "manifest.json"))
