"""examples.json: the metadata of each note, by its name. That of the train split has some 300 MB.

So it is never held as a whole: one pass finds where each entry is, by its brackets and quotes
alone, and entries are parsed where their notes are wanted. An entry that cannot be parsed is set
aside like a damaged record; only where entries cannot be told apart is the whole file refused.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from pipelines.convert.formats.features import (
    NUMBERS,
    TEXTS,
)
from pipelines.convert.formats.reasons import Reason
from pipelines.errors import ConfigError, RecordError
from pipelines.notes import QUALITIES

FILE_NAME: Final = "examples.json"


# The longest plausible entry; one of NSynth has about seven hundred bytes.
MAX_ENTRY_BYTES: Final = 2**20

# The most notes that one source may list; the largest split of NSynth has 289,205.
MAX_NOTES: Final = 2**20

_BYTE_ORDER_MARK: Final = codecs.BOM_UTF8.decode("latin-1")
_UTF16_MARKS: Final = tuple(
    mark.decode("latin-1") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
)
_OPENING: Final = re.compile(rf"(?:{_BYTE_ORDER_MARK})?+[ \t\r\n]*+")
_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXT: Final = re.compile(_STRING, re.DOTALL)
_SCALAR: Final = re.compile(r'[^ \t\r\n"{}\[\],:]+')
# Up to the next bracket outside of strings, or the quote of a string that does not end.
_BRACKET: Final = re.compile(rf'(?:[^"{{}}\[\]]++|{_STRING})*+([{{}}\[\]"])', re.DOTALL)

_INT64: Final = range(-(2**63), 2**63)
_INT64_DIGITS: Final = 20


class Entry(NamedTuple):
    """The place of a note's entry.

    Attributes:
      begin: offset of its name.
      end: the offset after its value.
    """

    name: str
    begin: int
    end: int


def find_entries(blocks: Iterable[bytes], *, uri: str) -> Iterator[Entry]:
    """Find the entries in an examples.json, whose bytes come in blocks.

    Raises:
      ConfigError: it is not a JSON object, or lists more notes than a source may have.
    """
    # A character a byte: offsets in the text are those in the file, and what JSON itself is made of
    # means the same in UTF-8.
    texts = (str(block, "latin-1") for block in blocks)
    text, start, at, num = "", 0, 0, 0
    while True:
        try:
            entry, end = _next_entry(text, at, opened=num > 0)
        except (ValueError, IndexError) as err:
            # A value that the end of a block cuts looks wrong too.
            more = next(texts, "") if len(text) - at <= MAX_ENTRY_BYTES else ""
            if not more:
                raise _corrupt(uri, start + at, text[at : at + 2]) from err
            text, start, at = text[at:] + more, start + at, 0
            continue
        # The same limit wherever blocks end.
        if end - at >= MAX_ENTRY_BYTES:
            raise _corrupt(uri, start + at)
        at = end
        if entry is None:
            break
        num += 1
        if num > MAX_NOTES:
            raise ConfigError(f"{uri} lists more than {MAX_NOTES:,} notes; cut it into several")
        yield Entry(entry.name, start + entry.begin, start + entry.end)
    if any(rest.strip(" \t\r\n") for rest in (text[at:], *texts)):
        raise _corrupt(uri, start + at)


def parse_entries(data: bytes) -> list[tuple[str, Any]]:
    """Parse entries that are side by side, with commas between them.

    Returns:
      Names and values. A value that is an object becomes a tuple of pairs, and one that cannot be
      parsed the `RecordError` that says why.
    """
    return [
        (entry.name, _parsed(data[entry.begin - 1 : entry.end - 1]))
        for entry in find_entries([b"{%b}" % data], uri=FILE_NAME)
    ]


def _parsed(data: bytes) -> Any:
    # A name that is not UTF-8 concerns one note only.
    text = data.decode(errors="surrogateescape")
    try:
        ((_, value),) = _DECODER.decode(f"{{{text}}}")
    except json.JSONDecodeError as err:
        return RecordError(
            Reason.UNPARSABLE, f"the entry is not JSON: {err.msg} at character {err.pos}"
        )
    except RecursionError:
        return RecordError(Reason.UNPARSABLE, "the entry is nested too deeply")
    return value


def _number(text: str) -> int | str:
    """Parse a number; return the text of one longer than any valid number, which Python limits."""
    return int(text) if len(text) <= _INT64_DIGITS else text


_NAMES: Final = json.JSONDecoder(strict=False)
_DECODER: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_int=_number)


def note_scalars(name: str, value: Any) -> dict[str, Any]:
    """Return NSynth's features but the audio and its rate, from the value under a note's name.

    Raises:
      RecordError: one is missing or wrong.
    """
    if isinstance(value, RecordError):
        raise value
    if not isinstance(value, tuple):
        raise RecordError(Reason.WRONG_TYPE, f"what stands under {name!r} is no object")
    found = dict(value)
    scalars: dict[str, Any] = {key: _text(key, _feature(found, key)) for key in TEXTS}
    if scalars["note_str"] != name:
        raise RecordError(
            Reason.NO_METADATA, f"what stands under {name!r} is of {scalars['note_str']!r}"
        )
    for key in NUMBERS:
        if key != "sample_rate":
            scalars[key] = _integer(key, _feature(found, key))
    qualities = _list("qualities", found)
    if len(qualities) != len(QUALITIES):
        raise RecordError(
            Reason.WRONG_LENGTH,
            f"feature 'qualities' has {len(qualities)} values, expected {len(QUALITIES)}",
        )
    scalars["qualities"] = [_integer("qualities", quality) for quality in qualities]
    scalars["qualities_str"] = [
        _text("qualities_str", quality) for quality in _list("qualities_str", found)
    ]
    return scalars


def _next_entry(text: str, at: int, *, opened: bool) -> tuple[Entry | None, int]:
    """Return the entry after the brace or comma here and its end; no entry after the last.

    Raises:
      ValueError, IndexError: there is something else, or the text ends too soon.
    """
    at = _after(_SPACE if opened else _OPENING, text, at)
    if not opened and text[at] == "{" and text[_after(_SPACE, text, at + 1)] == "}":
        return None, _after(_SPACE, text, at + 1) + 1
    if opened and text[at] == "}":
        return None, at + 1
    if text[at] != ("," if opened else "{"):
        raise ValueError
    begin = _after(_SPACE, text, at + 1)
    end = _after(_TEXT, text, begin)
    name = _name(text[begin:end])
    colon = _after(_SPACE, text, end)
    if text[colon] != ":":
        raise ValueError
    end = _value_end(text, _after(_SPACE, text, colon + 1))
    # Without a character after it a number may go on in the next block.
    _ = text[end]
    return Entry(name, begin, end), end


def _value_end(text: str, at: int) -> int:
    """Return the offset after the value here; only its brackets and quotes need to be JSON."""
    if text[at] not in "{[":
        return _after(_TEXT if text[at] == '"' else _SCALAR, text, at)
    depth = 0
    while match := _BRACKET.match(text, at):
        at, mark = match.end(), match[1]
        if mark == '"':
            break
        depth += 1 if mark in "{[" else -1
        if not depth:
            return at
    raise ValueError


def _name(quoted: str) -> str:
    text = quoted.encode("latin-1").decode(errors="surrogateescape")
    try:
        return str(_NAMES.decode(text))
    except ValueError:
        # An escape that JSON does not have: no note has such a name.
        return text[1:-1]


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return the offset after the match of a pattern here."""
    match = pattern.match(text, at)
    if match is None:
        raise ValueError
    return match.end()


def _corrupt(uri: str, offset: int, found: str = "") -> ConfigError:
    if not offset and found in _UTF16_MARKS:
        return ConfigError(f"{uri} is UTF-16, expected UTF-8; store it as UTF-8")
    return ConfigError(f"{uri} is no JSON object of notes: it goes wrong behind byte {offset}")


def _feature(found: dict[str, Any], key: str) -> Any:
    if key not in found:
        raise RecordError(Reason.MISSING_FEATURE, f"there is no feature {key!r}")
    return found[key]


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(key, value, "text")
    try:
        value.encode()
    except UnicodeEncodeError as err:
        raise RecordError(Reason.NOT_TEXT, f"feature {key!r} is not UTF-8") from err
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
    return RecordError(
        Reason.WRONG_TYPE, f"feature {key!r} is {str(value)[:40]!r}, expected {expected}"
    )
