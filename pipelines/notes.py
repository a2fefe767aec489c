"""The vocabulary of NSynth, the label map, rates and lengths, and the official counts.

Source: Engel et al., "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders", 2017, and
the data set's page, https://magenta.tensorflow.org/datasets/nsynth.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# Instrument families; the position is the `instrument_family` of the data set.
FAMILIES: Final = (
    "bass",
    "brass",
    "flute",
    "guitar",
    "keyboard",
    "mallet",
    "organ",
    "reed",
    "string",
    "synth_lead",
    "vocal",
)

# How an instrument sounds; the position is its `instrument_source`.
SOURCES: Final = ("acoustic", "electronic", "synthetic")

# Qualities of a note's sound; the position is its place in the binary `qualities`.
QUALITIES: Final = (
    "bright",
    "dark",
    "distortion",
    "fast_decay",
    "long_release",
    "multiphonic",
    "nonlinear_env",
    "percussive",
    "reverb",
    "tempo-synced",
)

# The ten classes of the classifiers. synth_lead occurs in the train split only, so it goes, and the
# families after it move up: vocal is family 10 and class 9.
CLASSES: Final = tuple(family for family in FAMILIES if family != "synth_lead")

CLASS_OF_FAMILY: Final[Mapping[int, int]] = MappingProxyType(
    {FAMILIES.index(name): label for label, name in enumerate(CLASSES)}
)

SAMPLE_RATE_HZ: Final = 16_000
NUM_SOURCE_SAMPLES: Final = 64_000
# Samples that a stored note keeps unless a conversion chooses otherwise: 8 to 1, so its rate is
# 2 kHz and nothing above 1 kHz survives. The length of a data set is in its manifest.
NUM_SAMPLES: Final = 8_000

# Raised, with a line of why in CHANGELOG.md, whenever stored samples or the schema change.
DATASET_VERSION: Final = 2


def stored_rate_hz(num_samples: int) -> float:
    """Return the sample rate of notes that keep `num_samples` of their 64,000 samples."""
    return SAMPLE_RATE_HZ * num_samples / NUM_SOURCE_SAMPLES


def number_text(value: float) -> str:
    """Return a rate or a frequency in Hz without superfluous digits: 2000, 250.25."""
    return f"{value:.10g}"


@dataclass(frozen=True)
class OfficialSplit:
    """One split as published.

    Attributes:
      num_notes: records in the split's TFRecord file.
      families: notes by family, if published; else empty.
    """

    name: str
    num_notes: int
    families: Mapping[str, int]


# Source: the data set's page; the counts of train and test by family were read off their files.
OFFICIAL_SPLITS: Final = (
    OfficialSplit(
        "train",
        289_205,
        MappingProxyType(
            dict(
                zip(
                    FAMILIES,
                    (65474, 12675, 8773, 32690, 51821, 34201, 34477, 13911, 19474, 5501, 10208),
                    strict=True,
                )
            )
        ),
    ),
    OfficialSplit("valid", 12_678, MappingProxyType({})),
    OfficialSplit(
        "test",
        4_096,
        MappingProxyType(
            dict(zip(FAMILIES, (843, 269, 180, 652, 766, 202, 502, 235, 306, 0, 141), strict=True))
        ),
    ),
)


def named_split(file_name: str) -> OfficialSplit | None:
    """Return the official split that a file name such as `nsynth-valid.tfrecord` claims to be.

    Names of the TFDS project, `nsynth_full-valid.tfrecord-00000-of-00016`, count too.
    """
    match = re.search(r"nsynth(?:_full)?-(train|valid|test)(?![a-z])", file_name)
    return next((s for s in OFFICIAL_SPLITS if match and s.name == match[1]), None)
