"""Conversions that keep another number of samples per note, of every form of source."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xxhash
from scipy import signal

from pipelines.convert.commit.quarantine import verify
from pipelines.convert.job import convert
from pipelines.convert.shards.estimate import estimate
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.convert.shards.shard import check_shard
from pipelines.dataset import open_dataset
from pipelines.errors import ShardError
from tests.pipelines.convert import forms
from tests.pipelines.convert.records import ATOL

NUMBERS = (3, 7, 0)
TWO_NOTES = Parameters(range_bytes=2**19)


def converted(source: Path, root: Path, num_samples: int) -> Path:
    parameters = replace(TWO_NOTES, num_samples=num_samples)
    uri, _ = convert([str(source)], root=str(root), parameters=parameters, num_workers=2)
    return Path(uri)


@pytest.mark.parametrize("form", forms.FORMS)
def test_convert_of_every_form_keeps_as_many_samples_as_asked_for(
    tmp_path: Path, form: str
) -> None:
    source = forms.FORMS[form](tmp_path, NUMBERS)
    whole, short = (
        open_dataset(str(converted(source, tmp_path / "root", num_samples)))
        for num_samples in (64_000, 1_000)
    )
    assert whole.manifest.manifest_digest != short.manifest.manifest_digest
    audio, digests = whole.audio(range(3)), whole.read(["audio_digest"])["audio_digest"]
    # Nothing is resampled: each sample is that of the source, bit by bit.
    assert [xxhash.xxh3_128_hexdigest(note.data) for note in audio] == digests.to_pylist()
    assert short.read(["audio_digest"])["audio_digest"].equals(digests)
    expected = signal.resample(audio.astype(np.float64), 1_000, axis=1)
    np.testing.assert_allclose(short.audio(range(3)), expected, rtol=0, atol=ATOL)
    for dataset in (whole, short):
        assert not verify(dataset.manifest_uri).problems


@pytest.mark.parametrize(
    ("num_samples", "num_groups", "rate_hz"),
    [(1_000, 1, "250"), (1_001, 1, "250.25"), (64_000, 2, "16000")],
)
def test_shards_say_their_length_and_bound_their_row_groups(
    tmp_path: Path, num_samples: int, num_groups: int, rate_hz: str
) -> None:
    source = forms.FORMS["tfrecord"](tmp_path, [n % 9 for n in range(40)])
    parameters = Parameters(num_samples=num_samples)
    uri, _ = convert([str(source)], root=str(tmp_path), parameters=parameters, num_workers=1)
    [path] = Path(uri).parent.glob("data/*.parquet")
    with pq.ParquetFile(path) as file:
        assert file.num_row_groups == num_groups
        field = file.schema_arrow.field("audio")
    assert field.type.list_size == num_samples
    assert field.metadata == {
        b"num_samples": str(num_samples).encode(),
        b"sample_rate_hz": rate_hz.encode(),
    }


def test_convert_replaces_a_shard_of_another_length(tmp_path: Path) -> None:
    source = forms.FORMS["tfrecord"](tmp_path, NUMBERS)
    short, long = (converted(source, tmp_path / "root", num) for num in (1_000, 2_000))
    [first, *_] = sorted(long.parent.glob("data/*.parquet"))
    (short.parent / "data" / first.name).write_bytes(first.read_bytes())
    place = str(short.parent / "data" / first.name)
    with pytest.raises(ShardError, match="expected those of notes of 1000 samples"):
        check_shard(place, num_samples=1_000)
    with pytest.raises(ShardError, match=r"audio as fixed_size_list.*\[2000\], expected"):
        open_dataset(str(short)).audio([0])
    assert verify(str(short)).problems
    short.unlink()
    again = open_dataset(str(converted(source, tmp_path / "root", 1_000)))
    assert again.audio([0]).shape == (1, 1_000)


def test_estimate_grows_with_the_samples(tmp_path: Path) -> None:
    source = forms.FORMS["tfrecord"](tmp_path, NUMBERS)
    sizes = [
        estimate(plan([str(source)], root=str(tmp_path), parameters=parameters)).stored_bytes
        for parameters in (Parameters(num_samples=1_000), Parameters(num_samples=16_000))
    ]
    assert sizes[1] > 8 * sizes[0]
