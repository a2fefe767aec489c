import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.convert.accounting import Account
from pipelines.convert.manifest import Manifest, load_manifest, make_manifest
from pipelines.convert.plan import Parameters, Plan
from pipelines.convert.shards import ShardSummary
from pipelines.convert.sources import Source
from pipelines.convert.tfrecord import Position, Span
from pipelines.errors import ConfigError, DatasetError, PipelineError

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
TAMPERED: dict[str, tuple[Change, type[PipelineError], str]] = {
    "a note more": (
        lambda m: m["shards"][0].update(num_notes=4),
        DatasetError,
        "was changed after it was written; convert again with --force",
    ),
    "another digest": (lambda m: m.update(manifest_digest="0"), DatasetError, "was changed after"),
    "no span": (lambda m: m["spans"].clear(), DatasetError, "was changed after"),
    "newer": (
        lambda m: m.update(format_version=2),
        ConfigError,
        "has manifest format 2, this version reads 1; convert again or use the version",
    ),
    "no version": (lambda m: m.pop("format_version"), ConfigError, "is no manifest; name the"),
    "no shards": (lambda m: m.pop("shards"), ConfigError, "is no manifest; name the manifest"),
    "no count": (lambda m: m.pop("num_notes"), ConfigError, "is no manifest; name the manifest"),
    "more": (lambda m: m.update(surprise=1), ConfigError, "is no manifest; name the manifest"),
}


@pytest.mark.parametrize(("change", "error", "message"), TAMPERED.values(), ids=TAMPERED.keys())
def test_load_manifest_refuses_what_it_does_not_know(
    tmp_path: Path, change: Change, error: type[PipelineError], message: str
) -> None:
    content = json.loads(manifest().to_json())
    change(content)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(content))
    with pytest.raises(error, match=message):
        load_manifest(str(path))


@pytest.mark.parametrize("content", ["", "[1]", "{}", "PAR1", manifest().to_json()[:-100]])
def test_load_manifest_refuses_what_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"manifest.json is no manifest; name the manifest\.json"):
        load_manifest(str(path))


def test_load_manifest_says_where_none_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*manifest.json; check the path"):
        load_manifest(str(tmp_path / "manifest.json"))
