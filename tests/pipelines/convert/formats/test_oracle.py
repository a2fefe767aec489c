"""TensorFlow reads what we write and writes what we read: both see the same notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import Position, Record, read_records
from pipelines.convert.job import convert
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.convert.shards.plan import Parameters
from pipelines.dataset import open_dataset
from tests.pipelines.convert.records import ATOL, note, reader, sound, tfrecord

TEXTS = ("note_str", "instrument_str", "instrument_family_str", "instrument_source_str")
INTEGERS = (
    "note",
    "instrument",
    "pitch",
    "velocity",
    "sample_rate",
    "instrument_family",
    "instrument_source",
)


def features(tf: Any) -> dict[str, Any]:
    """How the data set's own page says a record is to be parsed."""
    return {
        **{name: tf.io.FixedLenFeature([], tf.string) for name in TEXTS},
        **{name: tf.io.FixedLenFeature([], tf.int64) for name in INTEGERS},
        "qualities": tf.io.FixedLenFeature([10], tf.int64),
        "qualities_str": tf.io.VarLenFeature(tf.string),
        "audio": tf.io.FixedLenFeature([64_000], tf.float32),
    }


def read_by_tensorflow(tf: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Each record's 14 features, as TensorFlow reads them."""
    wanted = features(tf)
    assert len(wanted) == 14
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        parsed = tf.io.parse_single_example(record, wanted)
        qualities = parsed.pop("qualities_str").values.numpy()
        values = {name: value.numpy() for name, value in parsed.items()}
        yield {
            **{name: values[name].decode() for name in TEXTS},
            **{name: int(values[name]) for name in INTEGERS},
            "qualities": values["qualities"].tolist(),
            "qualities_str": [quality.decode() for quality in qualities],
            "audio": values["audio"],
        }


def example_by_tensorflow(tf: Any, number: int) -> bytes:
    """A note as TensorFlow's own classes write it."""

    def texts(*values: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def numbers(*values: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    feature = {
        "note_str": texts(f"vocal_synthetic_{number:03d}-060-025".encode()),
        "note": numbers(2**40 + number),
        "instrument": numbers(number),
        "instrument_str": texts(f"vocal_synthetic_{number:03d}".encode()),
        "pitch": numbers(60),
        "velocity": numbers(25),
        "sample_rate": numbers(16_000),
        "audio": tf.train.Feature(float_list=tf.train.FloatList(value=sound(number))),
        "qualities": numbers(*[int(place == number) for place in range(10)]),
        "qualities_str": texts(*[b"tempo-synced", "sérieux".encode()][: number % 3]),
        "instrument_family": numbers(10),
        "instrument_family_str": texts(b"vocal"),
        "instrument_source": numbers(2),
        "instrument_source_str": texts(b"synthetic"),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    written: bytes = example.SerializeToString()
    return written


def assert_converted_as_read(tf: Any, path: Path, root: Path, *, range_bytes: int) -> int:
    """Compares every stored note with TensorFlow's reading; gives their number."""
    uri, manifest = convert(
        [str(path)], root=str(root), parameters=Parameters(range_bytes=range_bytes), num_workers=2
    )
    dataset = open_dataset(uri)
    rows = dataset.read([*TEXTS, *INTEGERS, "qualities", "qualities_str", "peak", "rms"])
    stored = (samples for block in dataset.iter_audio() for samples in block)
    pairs = zip(rows.to_pylist(), stored, read_by_tensorflow(tf, path), strict=True)
    for row, samples, truth in pairs:
        audio = truth.pop("audio")
        assert row.pop("peak") == np.abs(audio).max()
        # Sums of 64,000 squares, added in another order.
        energy = np.sqrt(np.mean(np.square(audio, dtype=np.float64)))
        assert row.pop("rms") == pytest.approx(energy, rel=1e-4)
        assert row == truth
        expected = resample(audio[np.newaxis], num_samples=8_000)[0]
        np.testing.assert_allclose(samples, expected, rtol=0, atol=ATOL * max(1, audio.max()))
    assert manifest.quarantined == {}
    return manifest.num_notes


def test_tfrecord_of_our_builders_is_what_tensorflow_writes(tf: Any, tmp_path: Path) -> None:
    payloads = [b"", b"payload", note(1)]
    path = tmp_path / "written.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    assert path.read_bytes() == tfrecord(*payloads)


def test_read_records_gives_what_tensorflow_wrote(tf: Any, tmp_path: Path) -> None:
    payloads = [bytes(range(number)) for number in range(100)]
    path = tmp_path / "written.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    data = path.read_bytes()
    window = Window(reader(data), size=len(data))
    items = list(read_records(window, Position(0, synced=True), len(data)))
    assert [item.payload for item in items if isinstance(item, Record)] == payloads


def test_convert_of_our_records_equals_tensorflows_reading(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "ours.tfrecord"
    path.write_bytes(tfrecord(*[note(number) for number in range(11)]))
    assert assert_converted_as_read(tf, path, tmp_path, range_bytes=700_000) == 11


def test_convert_of_tensorflows_records_equals_its_reading(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(5):
            writer.write(example_by_tensorflow(tf, number))
    assert assert_converted_as_read(tf, path, tmp_path, range_bytes=2**20) == 5


def test_convert_of_the_real_test_notes_equals_tensorflows_reading(
    tf: Any, tmp_path: Path, real: Path
) -> None:
    path = real / "nsynth-test.tfrecord"
    assert assert_converted_as_read(tf, path, tmp_path, range_bytes=40 * 2**20) == 994
