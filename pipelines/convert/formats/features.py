"""Features of a note: the required ones, and the faults of the present ones.

Knows no file format. Each form hands over its features in the words below, and one set of checks
raises the same sentences for all of them: the feature, what was found and what was expected.

Source: https://magenta.tensorflow.org/datasets/nsynth, and the features of TensorFlow Datasets'
builder `nsynth`, https://www.tensorflow.org/datasets/catalog/nsynth.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pipelines.convert.formats.reasons import Reason
from pipelines.errors import RecordError
from pipelines.notes import (
    FAMILIES,
    NUM_SOURCE_SAMPLES,
    QUALITIES,
    SAMPLE_RATE_HZ,
    SOURCES,
)

TEXT: Final = "text"
INTEGER: Final = "integer"
FLOAT: Final = "float"
UNSET: Final = "unset"

# The `note` of a record that does not number its notes, as those of TensorFlow Datasets.
UNKNOWN_NOTE: Final = -1

_MAX_WORDS: Final = 300


class Feature(NamedTuple):
    """One feature as its source holds it.

    Attributes:
      type: of all its values: one of the words above, or another word for any other type.
      values: text as bytes or str; none where the feature is unset.
    """

    type: str
    values: Sequence[Any]


class Expected(NamedTuple):
    """One feature as it has to be.

    Attributes:
      num: how many values; None where any number will do, and none at all.
    """

    type: str
    num: int | None = 1


AUDIO: Final = Expected(FLOAT, NUM_SOURCE_SAMPLES)

# NSynth's own features but the audio.
NSYNTH: Final[Mapping[str, Expected]] = MappingProxyType(
    {
        "note_str": Expected(TEXT),
        "instrument_str": Expected(TEXT),
        "instrument_family_str": Expected(TEXT),
        "instrument_source_str": Expected(TEXT),
        "note": Expected(INTEGER),
        "instrument": Expected(INTEGER),
        "pitch": Expected(INTEGER),
        "velocity": Expected(INTEGER),
        "sample_rate": Expected(INTEGER),
        "instrument_family": Expected(INTEGER),
        "instrument_source": Expected(INTEGER),
        "qualities": Expected(INTEGER, len(QUALITIES)),
        "qualities_str": Expected(TEXT, None),
    }
)

TEXTS: Final = tuple(name for name, kind in NSYNTH.items() if kind == (TEXT, 1))
NUMBERS: Final = tuple(name for name, kind in NSYNTH.items() if kind == (INTEGER, 1))

# The features of TensorFlow Datasets' `nsynth` but the audio; those of `f0` and `loudness`,
# which one of its configurations adds, are passed over.
TFDS: Final[Mapping[str, Expected]] = MappingProxyType(
    {
        "id": Expected(TEXT),
        "pitch": Expected(INTEGER),
        "velocity": Expected(INTEGER),
        "instrument/label": Expected(INTEGER),
        "instrument/family": Expected(INTEGER),
        "instrument/source": Expected(INTEGER),
    }
    | {f"qualities/{quality}": Expected(INTEGER) for quality in QUALITIES}
)


def is_tfds(names: Container[str]) -> bool:
    """Return whether features of these names are those of TensorFlow Datasets."""
    return "note_str" not in names and any(name in names for name in TFDS if name not in NSYNTH)


def check_features(
    features: Mapping[str, Feature], expected: Mapping[str, Expected], *, names: Iterable[str]
) -> dict[str, Any]:
    """Return the value of each expected feature, a list where it does not have exactly one.

    Args:
      features: at least those of the expected ones that there are.
      names: of all features that there are.

    Raises:
      RecordError: features are missing, or one has another type, length or encoding.
    """
    missing = [name for name in expected if name not in features]
    if missing:
        raise RecordError(
            Reason.MISSING_FEATURE,
            f"there is no feature {_listed(missing)}; found {_listed(sorted(names)) or 'none'}",
        )
    return {name: _checked(name, features[name], kind) for name, kind in expected.items()}


def tfds_scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return NSynth's features from those of TensorFlow Datasets, which keeps fewer.

    The names of instrument, family and source follow from the others. `note` is not known;
    `instrument` is the number of the label, which is not NSynth's own number of the instrument.

    Args:
      values: of each of `TFDS`.

    Raises:
      RecordError: a label is outside its names.
    """
    qualities = [values[f"qualities/{quality}"] for quality in QUALITIES]
    return {
        "note_str": values["id"],
        "instrument_str": values["id"].rsplit("-", 2)[0],
        "instrument_family_str": _label("instrument/family", values, FAMILIES),
        "instrument_source_str": _label("instrument/source", values, SOURCES),
        "note": UNKNOWN_NOTE,
        "instrument": values["instrument/label"],
        "pitch": values["pitch"],
        "velocity": values["velocity"],
        # The builder resamples nothing, and says the rate in its metadata alone.
        "sample_rate": SAMPLE_RATE_HZ,
        "instrument_family": values["instrument/family"],
        "instrument_source": values["instrument/source"],
        "qualities": qualities,
        "qualities_str": [q for q, has in zip(QUALITIES, qualities, strict=True) if has],
    }


def _checked(name: str, feature: Feature, expected: Expected) -> Any:
    found, values = feature
    kind, num = expected
    if found != kind and not (found == UNSET and num is None):
        value = f" {_clipped(values[0])}" if len(values) == 1 else ""
        raise RecordError(Reason.WRONG_TYPE, f"feature {name!r} is {found}{value}, expected {kind}")
    if num is not None and len(values) != num:
        raise RecordError(
            Reason.WRONG_LENGTH, f"feature {name!r} has {len(values)} values, expected {num}"
        )
    if num == 1:
        return _text(name, values[0]) if kind == TEXT else values[0]
    return [_text(name, value) for value in values] if kind == TEXT else list(values)


def _text(name: str, value: bytes | str) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode()
        value.encode()
    except UnicodeError as err:
        raise RecordError(Reason.NOT_TEXT, f"feature {name!r} is not UTF-8") from err
    return value


def _label(name: str, values: Mapping[str, Any], names: Sequence[str]) -> str:
    number: int = values[name]
    if not 0 <= number < len(names):
        raise RecordError(
            Reason.OUT_OF_RANGE, f"feature {name!r} is {number}, expected 0 to {len(names) - 1}"
        )
    return names[number]


def _listed(names: Sequence[str]) -> str:
    # Names come from the file: their control characters are escaped, their number is bounded.
    return _clipped(", ".join(map(repr, names[:100])), _MAX_WORDS, quoted=False)


def _clipped(value: Any, num: int = 40, *, quoted: bool = True) -> str:
    if isinstance(value, bytes):
        value = value[:num].decode(errors="replace")
    text = repr(value) if quoted else str(value)
    return text if len(text) <= num else f"{text[:num]}..."
