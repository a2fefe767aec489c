"""examples.json: what is known of each note, by its name. The train split's has some 300 MB.

So it is never held as a whole: one pass finds where each entry stands, and entries are parsed where
their notes are wanted.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from pipelines.convert.features import (
    MISSING_FEATURE,
    NOT_TEXT,
    NUMBERS,
    TEXTS,
    WRONG_LENGTH,
    WRONG_TYPE,
)
from pipelines.errors import ConfigError, RecordError
from pipelines.notes import QUALITIES

FILE_NAME: Final = "examples.json"

NO_METADATA: Final = "no_metadata"

MAX_ENTRY_BYTES: Final = 2**20
"""The longest entry believed; one of NSynth has about seven hundred bytes."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()
_INT64: Final = range(-(2**63), 2**63)


class Entry(NamedTuple):
    """Where what is known of a note stands.

    Attributes:
      begin: offset of its name.
      end: the offset behind its value.
    """

    name: str
    begin: int
    end: int


def find_entries(blocks: Iterable[bytes], *, uri: str) -> Iterator[Entry]:
    """Finds the entries in an examples.json, whose bytes come in blocks.

    Raises:
      ConfigError: it is no JSON object.
    """
    # A character a byte: offsets in the text are those in the file, and what JSON itself is made of
    # means the same in UTF-8.
    texts = (str(block, "latin-1") for block in blocks)
    text, start, at, opened = "", 0, 0, False
    while True:
        try:
            entry, at = _next_entry(text, at, opened=opened)
        except (ValueError, IndexError, RecursionError) as err:
            # What is cut by the end of a block looks wrong too.
            more = next(texts, "") if len(text) - at < MAX_ENTRY_BYTES else ""
            if not more:
                raise _corrupt(uri, start + at) from err
            text, start, at = text[at:] + more, start + at, 0
            continue
        if entry is None:
            break
        yield Entry(entry.name, start + entry.begin, start + entry.end)
        opened = True
    if any(rest.strip(" \t\r\n") for rest in (text[at:], *texts)):
        raise _corrupt(uri, start + at)


def parse_entries(data: bytes) -> list[tuple[str, Any]]:
    """Names and values of entries that stand side by side, with commas between them.

    A value that is an object becomes a tuple of pairs.
    """
    # What is no UTF-8 is a matter of the one note whose name it is.
    text = data.decode(errors="surrogateescape")
    return list(json.loads(f"{{{text}}}", object_pairs_hook=tuple))


def scalars_of(name: str, value: Any) -> dict[str, Any]:
    """NSynth's features but the audio and its rate, from the value under a note's name.

    Raises:
      RecordError: one is missing or is not what it should be.
    """
    if not isinstance(value, tuple):
        raise RecordError(WRONG_TYPE, f"what stands under {name!r} is no object")
    found = dict(value)
    scalars: dict[str, Any] = {key: _text(key, _feature(found, key)) for key in TEXTS}
    if scalars["note_str"] != name:
        raise RecordError(NO_METADATA, f"what stands under {name!r} is of {scalars['note_str']!r}")
    for key in NUMBERS:
        if key != "sample_rate":
            scalars[key] = _integer(key, _feature(found, key))
    qualities = _list("qualities", found)
    if len(qualities) != len(QUALITIES):
        raise RecordError(
            WRONG_LENGTH,
            f"feature 'qualities' has {len(qualities)} values, expected {len(QUALITIES)}",
        )
    scalars["qualities"] = [_integer("qualities", quality) for quality in qualities]
    scalars["qualities_str"] = [
        _text("qualities_str", quality) for quality in _list("qualities_str", found)
    ]
    return scalars


def _next_entry(text: str, at: int, *, opened: bool) -> tuple[Entry | None, int]:
    """The entry behind the brace or comma here and where it ends; None behind the last.

    Raises:
      ValueError, IndexError: there is something else, or the text ends too soon to tell.
    """
    at = _behind_space(text, at)
    if not opened and text[at] == "{" and text[_behind_space(text, at + 1)] == "}":
        return None, _behind_space(text, at + 1) + 1
    if opened and text[at] == "}":
        return None, at + 1
    if text[at] != ("," if opened else "{"):
        raise ValueError
    begin = _behind_space(text, at + 1)
    name, end = _DECODER.raw_decode(text, begin)
    if not isinstance(name, str):
        raise ValueError
    name = json.loads(text[begin:end].encode("latin-1").decode())
    colon = _behind_space(text, end)
    if text[colon] != ":":
        raise ValueError
    _, end = _DECODER.raw_decode(text, _behind_space(text, colon + 1))
    # Without a character behind it a number may go on in the next block.
    _ = text[end]
    return Entry(name, begin, end), end


def _behind_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _corrupt(uri: str, offset: int) -> ConfigError:
    return ConfigError(f"{uri} is no JSON object of notes: it goes wrong behind byte {offset}")


def _feature(found: dict[str, Any], key: str) -> Any:
    if key not in found:
        raise RecordError(MISSING_FEATURE, f"there is no feature {key!r}")
    return found[key]


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(key, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError as err:
        raise RecordError(NOT_TEXT, f"feature {key!r} is not UTF-8") from err
    return value


def _integer(key: str, value: Any) -> int:
    # True is an integer to Python.
    if type(value) is not int or value not in _INT64:
        raise _wrong_type(key, value, "an integer of 64 bits")
    return value


def _list(key: str, found: dict[str, Any]) -> list[Any]:
    values = _feature(found, key)
    if not isinstance(values, list):
        raise _wrong_type(key, values, "a list")
    return values


def _wrong_type(key: str, value: Any, expected: str) -> RecordError:
    return RecordError(WRONG_TYPE, f"feature {key!r} is {str(value)[:40]!r}, expected {expected}")
