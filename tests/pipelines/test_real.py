"""NSynth's own notes, where they are at hand: what is known of them comes out."""

from pathlib import Path

import pytest

from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.dataset import open_dataset
from pipelines.validate.verdicts import Validation, load_reasons, validate

NUM_NOTES = {"train": 300, "valid": 3311, "test": 994}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("real"))


def validated(real: Path, root: str, split: str) -> Validation:
    """The verdicts on a split; converted and judged once, then found again."""
    uri, manifest = convert(
        [str(real / f"nsynth-{split}.tfrecord")],
        root=root,
        parameters=Parameters(range_bytes=40 * 2**20),
        num_workers=2,
    )
    assert manifest.quarantined == {}
    assert manifest.record_bytes == manifest.source_bytes
    return validate(uri)


@pytest.mark.parametrize(("split", "num_notes"), NUM_NOTES.items())
def test_every_note_of_a_split_is_converted(
    real: Path, root: str, split: str, num_notes: int
) -> None:
    found = validated(real, root, split)
    assert (found.num_seen, found.num_quarantined) == (num_notes, 0)
    assert sum(found.families.values()) == found.num_kept
    assert found.official.startswith(f"{num_notes:,} records, where the official {split} split has")


def test_synth_lead_is_dropped_from_train_only(real: Path, root: str) -> None:
    dropped = {split: validated(real, root, split).dropped for split in NUM_NOTES}
    assert dropped["train"]["synth_lead"] == 10
    assert "synth_lead" not in dropped["valid"]
    assert "synth_lead" not in dropped["test"]


@pytest.mark.parametrize(("split", "num"), [("valid", 20), ("test", 7)])
def test_noise_under_many_names_is_kept_once(real: Path, root: str, split: str, num: int) -> None:
    found = validated(real, root, split)
    names = open_dataset(found.manifest_uri).read(["note_str"]).column("note_str").to_pylist()
    repeated = [
        name
        for name, reason in zip(names, load_reasons(found), strict=True)
        if reason == "duplicate_audio"
    ]
    # Its pitches 84 to 108 are one recording of noise; the first of each split stays.
    assert sum(name.startswith("brass_acoustic_046-") for name in repeated) == num
