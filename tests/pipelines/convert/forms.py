"""The same notes in each form that NSynth has: TFRecord, and examples.json with wav files."""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.notes import CLASSES, FAMILIES
from tests.pipelines.convert.records import SAMPLE_RATE_HZ, floats, note, sound, tfrecord

Pcm = NDArray[np.int16]

SPLIT: Final = "nsynth-valid"


def name(number: int) -> str:
    """The note_str of the note that `records.note` makes of the same number."""
    return f"{CLASSES[number % len(CLASSES)]}_acoustic_{number:03d}-{20 + number % 100:03d}-100"


def entry(number: int, **changes: Any) -> dict[str, Any]:
    """What examples.json says of it; a feature that is None is left out."""
    family, instrument = CLASSES[number % len(CLASSES)], name(number).rpartition("_")[2]
    found = {
        "note": number,
        "note_str": name(number),
        "instrument": number,
        "instrument_str": f"{family}_acoustic_{instrument[:3]}",
        "pitch": 20 + number % 100,
        "velocity": 100,
        "sample_rate": SAMPLE_RATE_HZ,
        "qualities": [1, *[0] * 9],
        "qualities_str": ["bright"],
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
    } | changes
    return {key: value for key, value in found.items() if value is not None}


def pcm(number: int) -> Pcm:
    """Its samples in 16 bits."""
    return np.round(sound(number) * 30_000).astype(np.int16)


def wav(samples: Pcm, *, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> bytes:
    """A wav file, its header as the format's own description draws it."""
    data = samples.astype("<i2").tobytes()
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block, block, 16)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def records(numbers: Sequence[int]) -> bytes:
    """The notes as a TFRecord file."""
    return tfrecord(
        *[note(n, audio=floats(pcm(n).astype(np.float32) / np.float32(2**15))) for n in numbers]
    )


def files(numbers: Sequence[int]) -> dict[str, bytes]:
    """The notes as the files of a folder, examples.json first."""
    examples = json.dumps({name(n): entry(n) for n in numbers}, indent=1).encode()
    wavs = {f"audio/{name(n)}.wav": wav(pcm(n)) for n in numbers}
    return {"examples.json": examples} | wavs


def write_folder(path: Path, content: Mapping[str, bytes]) -> Path:
    for relative, data in content.items():
        target = path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def tar(content: Mapping[str, bytes]) -> bytes:
    """A tar of the folder nsynth-valid."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for relative, data in content.items():
            info = tarfile.TarInfo(f"{SPLIT}/{relative}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def examples_last(content: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files, examples.json behind all others."""
    return {**{key: content[key] for key in content if key != "examples.json"}, **content}


def _write(data: Callable[[Sequence[int]], bytes], ending: str) -> Callable[..., Path]:
    def write(folder: Path, numbers: Sequence[int]) -> Path:
        path = folder / f"{SPLIT}{ending}"
        path.write_bytes(data(numbers))
        return path

    return write


FORMS: Final[dict[str, Callable[[Path, Sequence[int]], Path]]] = {
    "tfrecord": _write(records, ".tfrecord"),
    "gzip": _write(lambda numbers: gzip.compress(records(numbers), 1, mtime=0), ".tfrecord.gz"),
    "tfrecord_tar": _write(
        lambda numbers: tar({f"{SPLIT}.tfrecord": records(numbers)}), ".tfrecord.tar"
    ),
    "json_wav": lambda folder, numbers: write_folder(folder / SPLIT, files(numbers)),
    "json_wav_tar": _write(lambda numbers: tar(files(numbers)), ".jsonwav.tar"),
    "json_wav_tar_gz": _write(
        lambda numbers: gzip.compress(tar(files(numbers)), 1, mtime=0), ".jsonwav.tar.gz"
    ),
    "json_wav_tar_gz, examples.json last": _write(
        lambda numbers: gzip.compress(tar(examples_last(files(numbers))), 1, mtime=0),
        ".jsonwav.tar.gz",
    ),
}
"""What writes notes in a form, as one file or folder, and says where."""
