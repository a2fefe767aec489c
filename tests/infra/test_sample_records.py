from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from infra.sample.catalogue import Note, features
from infra.sample.records import Features, example, frame
from pipelines.notes import NUM_SOURCE_SAMPLES

NOTE = Note("bass", 3, 52, 100)


def test_features_are_the_official_ones_for_tensorflow() -> None:
    number, text = tf.io.FixedLenFeature([], tf.int64), tf.io.FixedLenFeature([], tf.string)
    parsed = tf.io.parse_single_example(
        example(features(NOTE, seed=0)),
        {
            "note": number,
            "note_str": text,
            "instrument": number,
            "instrument_str": text,
            "pitch": number,
            "velocity": number,
            "sample_rate": number,
            "audio": tf.io.FixedLenFeature([NUM_SOURCE_SAMPLES], tf.float32),
            "qualities": tf.io.FixedLenFeature([10], tf.int64),
            "qualities_str": tf.io.VarLenFeature(tf.string),
            "instrument_family": number,
            "instrument_family_str": text,
            "instrument_source": number,
            "instrument_source_str": text,
        },
    )
    assert parsed["note_str"].numpy() == b"bass_synthetic_003-052-100"
    assert parsed["instrument_str"].numpy() == b"bass_synthetic_003"
    assert (parsed["pitch"].numpy(), parsed["velocity"].numpy()) == (52, 100)
    assert parsed["instrument_family_str"].numpy() == b"bass"
    assert parsed["instrument_source"].numpy() == 2
    assert parsed["qualities_str"].values.numpy().tolist() == [b"dark"]
    assert parsed["qualities"].numpy().tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "written",
    [
        {"a": [0, 1, 127, 128, 300, 2**31, 2**62]},
        {"a": [b"", b"\xff", b"x" * 200], "b": []},
        {"a": np.array([0, -1.5, np.nan], np.float32), "b": np.zeros(0, np.float32)},
    ],
)
def test_example_is_what_tensorflow_serialises(written: Features) -> None:
    lists = {}
    for name, values in written.items():
        if isinstance(values, np.ndarray):
            lists[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        elif values and isinstance(values[0], int):
            lists[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            lists[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    expected = tf.train.Example(features=tf.train.Features(feature=lists))
    parsed = tf.train.Example.FromString(example(written))
    assert parsed.SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


def test_frame_is_what_tensorflow_writes(tmp_path: Path) -> None:
    path = tmp_path / "records"
    payloads = [b"", b"note", bytes(1000)]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    assert path.read_bytes() == b"".join(map(frame, payloads))
