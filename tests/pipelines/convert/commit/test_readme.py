from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.convert.commit.readme import MEANINGS, readme, split_name
from pipelines.convert.job import convert
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters
from pipelines.note_schema import SCHEMA
from tests.pipelines.convert.records import note, tfrecord
from tests.pipelines.datasets import row, store

DAMAGED = tfrecord(note(0), note(1)) + b"?" * 10 + tfrecord(note(2), b"no message")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rows = [row(number) for number in range(5)]
    return load_manifest(store(tmp_path / "data", rows, notes_per_shard=2))


def of_sources(manifest: Manifest, *names: str) -> Manifest:
    sources = tuple(Source(name, f"/nowhere/{name}", 1000, "1") for name in names)
    return replace(manifest, sources=sources)


def test_meanings_explain_every_column() -> None:
    assert list(MEANINGS) == SCHEMA.names


def test_readme_says_what_the_manifest_knows(manifest: Manifest) -> None:
    text = readme(replace(manifest, quarantined={"payload_crc": 1234}, num_quarantined=1234))
    for line in [
        "| notes | 5 |",
        "| shards | 3 |",
        "| quarantined | 1,234 |",
        "| `payload_crc` | 1,234 |",
        f"| bytes of notes.tfrecord | {5 * 256_400:,} |",
        f"| `manifest_digest` | `{manifest.manifest_digest}` |",
        "| `audio` | float32[8000] | samples at 2000 Hz, in [-1, 1] but for overshoot |",
        "| `qualities_str` | string[] | names of the qualities that are 1 |",
    ]:
        assert f"\n{line}\n" in text
    assert "CC BY 4.0" in text
    assert "Nothing was set aside." in readme(manifest)


@pytest.mark.parametrize(
    ("num_samples", "line", "sentence"),
    [
        (
            1_001,
            "| `audio` | float32[1001] | samples at 250.25 Hz, in [-1, 1] but for overshoot |",
            "resampled to 1,001 samples,\nwhich keeps frequencies below 125.125 Hz",
        ),
        (
            64_000,
            "| `audio` | float32[64000] | samples at 16000 Hz, in [-1, 1] |",
            "as they were recorded: 64,000 samples, nothing is\nresampled",
        ),
    ],
)
def test_readme_says_the_length_of_the_notes(
    manifest: Manifest, num_samples: int, line: str, sentence: str
) -> None:
    parameters = replace(manifest.parameters, num_samples=num_samples)
    text = readme(replace(manifest, parameters=parameters))
    assert f"\n{line}\n" in text
    assert sentence in text
    assert ("their audio was resampled" in text) == (num_samples < 64_000)


def test_readme_is_a_dataset_card_that_names_the_shards(manifest: Manifest) -> None:
    text = readme(of_sources(manifest, "nsynth-test.tfrecord"))
    assert text.startswith(
        """---
license: cc-by-4.0
pretty_name: NSynth notes at 2000 Hz
task_categories:
- audio-classification
configs:
- config_name: default
  data_files:
  - split: test
    path: "data/part-*.parquet"
---
"""
    )


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["nsynth-valid.tfrecord"], "valid"),
        (["nsynth-test.tfrecord-00000-of-00002", "nsynth-test.tfrecord-00001-of-00002"], "test"),
        (["nsynth-valid.tfrecord", "nsynth-test.tfrecord"], "train"),
        (["nsynth-valid.tfrecord", "mine.tfrecord"], "train"),
        (["mine.tfrecord"], "train"),
    ],
)
def test_split_name_is_that_of_all_sources(
    manifest: Manifest, names: list[str], split: str
) -> None:
    assert split_name(of_sources(manifest, *names)) == split


def test_readme_says_nothing_of_machine_and_platform(manifest: Manifest) -> None:
    elsewhere = replace(
        manifest,
        samples_digest="of another platform",
        sources=tuple(replace(s, uri="s3://other/place", tag="2") for s in manifest.sources),
    )
    assert readme(elsewhere) == readme(manifest)


def test_convert_writes_the_readme_before_the_manifest_and_the_same_again(tmp_path: Path) -> None:
    source = tmp_path / "nsynth-valid.tfrecord"
    source.write_bytes(DAMAGED)

    def run(*, force: bool = False) -> tuple[Path, Manifest]:
        uri, manifest = convert(
            [str(source)],
            root=str(tmp_path / "root"),
            parameters=Parameters(range_bytes=400_000),
            num_workers=1,
            max_quarantined=0.5,
            force=force,
        )
        return Path(uri), manifest

    uri, manifest = run()
    written = uri.with_name("README.md")
    text, changed = written.read_text(), written.stat().st_mtime_ns
    assert text == readme(manifest)
    assert changed <= uri.stat().st_mtime_ns
    assert run() == (uri, manifest)
    assert written.stat().st_mtime_ns == changed
    written.unlink()
    run(force=True)
    assert written.read_text() == text
