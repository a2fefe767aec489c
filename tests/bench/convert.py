"""Conversion against the pipeline that Beam's own parts suggest, on one file in one run.

    python -m tests.bench.convert FILE

Both run in this process on Beam's local runner; imports are not timed. The last line is one JSON
object; figures compare within it only, since machines and their load differ.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from scipy import signal

from pipelines.convert.job import convert
from pipelines.notes import NUM_SAMPLES

NAIVE_SCHEMA = pa.schema([("note_str", pa.string()), ("audio", pa.list_(pa.float32()))])


def parse(record: bytes) -> dict[str, Any]:
    """The lines a tutorial would have: the message itself, one array a note."""
    import tensorflow as tf  # noqa: PLC0415 - timed from after the first use

    features = tf.train.Example.FromString(record).features.feature
    audio = np.array(features["audio"].float_list.value, np.float32)
    return {"note_str": features["note_str"].bytes_list.value[0].decode(), "audio": audio}


def shorten(note: dict[str, Any]) -> dict[str, Any]:
    return note | {"audio": signal.resample(note["audio"], NUM_SAMPLES).tolist()}


def naive(source: str, folder: str) -> None:
    options = PipelineOptions(
        [], runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    )
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.io.ReadFromTFRecord(source)
            | beam.Map(parse)
            | beam.Map(shorten)
            | beam.io.WriteToParquet(f"{folder}/notes", NAIVE_SCHEMA)
        )


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(source: str) -> None:
    import tensorflow as tf  # noqa: PLC0415 - loaded before anything is timed

    del tf
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        _, manifest = convert([source], root=f"{folder}/warm", num_workers=1, max_quarantined=1)
        one = seconds(
            lambda: convert([source], root=f"{folder}/one", num_workers=1, max_quarantined=1)
        )
        two = seconds(
            lambda: convert([source], root=f"{folder}/two", num_workers=2, max_quarantined=1)
        )
        plain = seconds(lambda: naive(source, folder))
    num = manifest.num_notes
    print(
        json.dumps(
            {
                "source": Path(source).name,
                "num_notes": num,
                "notes_per_second": round(num / one, 1),
                "notes_per_second_two_workers": round(num / two, 1),
                "naive_notes_per_second": round(num / plain, 1),
                "ratio": round(plain / one, 2),
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.bench.convert FILE")
    main(sys.argv[1])
