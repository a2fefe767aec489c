import codecs
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats import examples_json
from pipelines.convert.formats.examples_json import (
    MAX_ENTRY_BYTES,
    Entry,
    find_entries,
    note_scalars,
    parse_entries,
)
from pipelines.errors import ConfigError, RecordError

URI = "folder/examples.json"
NOTE = {
    "note_str": "bass_acoustic_001-060-100",
    "note": 2**40,
    "instrument": 1,
    "instrument_str": "bass_acoustic_001",
    "pitch": 60,
    "velocity": 100,
    "sample_rate": 16_000,
    "qualities": [1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    "qualities_str": ["bright", "sérieux"],
    "instrument_family": 0,
    "instrument_family_str": "bass",
    "instrument_source": 0,
    "instrument_source_str": "acoustic",
}


def blocks(data: bytes, num_bytes: int) -> Iterator[bytes]:
    return (data[at : at + num_bytes] for at in range(0, len(data), num_bytes))


def find(data: bytes, num_bytes: int = 10**6) -> list[Entry]:
    return list(find_entries(blocks(data, num_bytes), uri=URI))


def value(**changes: Any) -> Any:
    """A note's entry as it is parsed; a feature that is None is left out."""
    note = {key: v for key, v in (NOTE | changes).items() if v is not None}
    ((_, parsed),) = parse_entries(f'"name": {json.dumps(note)}'.encode())
    return parsed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.text(max_size=8), json_values, max_size=6),
    st.integers(1, 50),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_find_entries_finds_what_json_holds_whatever_the_blocks(
    content: dict[str, Any], num_bytes: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only) + "\n"
    data = text.encode()
    entries = find(data, num_bytes)
    assert [entry.name for entry in entries] == list(content)
    for entry in entries:
        assert json.loads(b"{%b}" % data[entry.begin : entry.end]) == {
            entry.name: content[entry.name]
        }


def test_find_entries_keeps_names_that_come_twice() -> None:
    assert [entry.name for entry in find(b'{"a": 1, "b": 2, "a": 3}')] == ["a", "b", "a"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"  ",
        b"[]",
        b"{",
        b'{"a": {}',
        b'{"a": {},}',
        b'{"a" {}}',
        b'{"a": }',
        b"{1: 2}",
        b'{"a": 1 "b": 2}',
        b'{"a": 1}}',
        b'{"a": 1}\n{"b": 1}',
        b"<html>",
        b"\x00" * 100,
        b'{"a": ' + b"[" * 100_000,
        b'{"a": "' + b"x" * (2 * MAX_ENTRY_BYTES) + b'"}',
    ],
)
@pytest.mark.parametrize("num_bytes", [30_000, 10**6])
def test_find_entries_refuses_what_is_no_object(data: bytes, num_bytes: int) -> None:
    with pytest.raises(ConfigError, match=r"^folder/examples.json is no JSON object of notes: it "):
        find(data, num_bytes)


def test_find_entries_says_where_it_goes_wrong() -> None:
    with pytest.raises(ConfigError, match=r"it goes wrong behind byte 8$"):
        find(b'{"a": {}; "b": {}}')


def test_parse_entries_gives_a_slice_between_two_offsets() -> None:
    data = json.dumps({"a": {"x": [1, {}]}, "b": 2, "c": {}, "d": 1}, indent=1).encode()
    entries = find(data)
    part = data[entries[0].begin : entries[2].end]
    assert parse_entries(part) == [("a", (("x", [1, ()]),)), ("b", 2), ("c", ())]


def test_scalars_of_gives_all_features_but_the_audio_and_its_rate() -> None:
    name = NOTE["note_str"]
    expected = {key: v for key, v in NOTE.items() if key != "sample_rate"}
    assert note_scalars(str(name), value()) == expected
    assert note_scalars(str(name), value(sample_rate=None, extra=1)) == expected


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"pitch": None}, "missing_feature", "there is no feature 'pitch'"),
        ({"qualities_str": None}, "missing_feature", "there is no feature 'qualities_str'"),
        ({"pitch": "60"}, "wrong_type", "feature 'pitch' is '60', expected an integer of 64 bits"),
        ({"pitch": 60.0}, "wrong_type", "feature 'pitch' is '60.0', expected an integer"),
        ({"pitch": True}, "wrong_type", "feature 'pitch' is 'True', expected an integer"),
        ({"note": 2**63}, "wrong_type", "expected an integer of 64 bits"),
        ({"instrument_str": 5}, "wrong_type", "feature 'instrument_str' is '5', expected text"),
        ({"qualities": 1}, "wrong_type", "feature 'qualities' is '1', expected a list"),
        ({"qualities": {}}, "wrong_type", "expected a list"),
        ({"qualities": [0.5] * 10}, "wrong_type", "feature 'qualities' is '0.5', expected an int"),
        ({"qualities": [0] * 9}, "wrong_length", "'qualities' has 9 values, expected 10"),
        ({"qualities_str": [7]}, "wrong_type", "feature 'qualities_str' is '7', expected text"),
        ({"instrument_str": "\udc80"}, "not_text", "feature 'instrument_str' is not UTF-8"),
        ({"note_str": "other"}, "no_metadata", "under 'bass_.*' is of 'other'"),
    ],
)
def test_scalars_of_refuses_what_is_missing_or_wrong(
    changes: dict[str, Any], reason: str, detail: str
) -> None:
    with pytest.raises(RecordError, match=detail) as raised:
        note_scalars(str(NOTE["note_str"]), value(**changes))
    assert raised.value.reason == reason


def test_scalars_of_refuses_what_is_no_object() -> None:
    for wrong in (1, "text", None, [("note", 1)]):
        with pytest.raises(RecordError, match="what stands under 'a' is no object"):
            note_scalars("a", wrong)


UNUSUAL = {
    "an integer of 5,000 digits": (b'{"pitch": %b}' % (b"9" * 5000), "missing_feature"),
    "a number that is the entry": (b"9" * 5000, "wrong_type"),
    "a control character": (b'{"note_str": "a\x01b"}', "unparsable"),
    "an escape that JSON does not have": (b'{"note_str": "\\q"}', "unparsable"),
    "a value cut short": (b"tru", "unparsable"),
    "a deep nest": (b"[" * 100_000 + b"]" * 100_000, "unparsable"),
    "brackets that do not match": (b'{"a": [1}}', "unparsable"),
    "a comma too many": (b'{"a": 1,}', "unparsable"),
    "text that is not UTF-8": (b'{"note_str": "\xff"}', "not_text"),
    "a lone surrogate": (b'{"note_str": "\\ud800"}', "not_text"),
}


@pytest.mark.parametrize("num_bytes", [70_000, 10**6])
@pytest.mark.parametrize(("text", "reason"), UNUSUAL.values(), ids=UNUSUAL.keys())
def test_an_entry_that_cannot_be_used_leaves_the_others_alone(
    text: bytes, reason: str, num_bytes: int
) -> None:
    data = b'{"a": 1, "b": %b, "c": {}}' % text
    entries = find(data, num_bytes)
    assert [entry.name for entry in entries] == ["a", "b", "c"]
    parsed = parse_entries(data[entries[0].begin : entries[-1].end])
    assert [name for name, _ in parsed] == ["a", "b", "c"]
    assert (parsed[0], parsed[2]) == (("a", 1), ("c", ()))
    with pytest.raises(RecordError) as raised:
        note_scalars("b", parsed[1][1])
    assert raised.value.reason == reason
    assert raised.value.detail.isascii()
    assert len(raised.value.detail) < 200


def test_scalars_of_a_long_integer_names_its_feature() -> None:
    data = b'"a": ' + json.dumps(NOTE | {"pitch": 1234}).encode().replace(b"1234", b"6" * 5000)
    ((_, parsed),) = parse_entries(data)
    with pytest.raises(RecordError, match=r"feature 'pitch' is '666.*expected an integer"):
        note_scalars(str(NOTE["note_str"]), parsed)


NAMES = {
    "not UTF-8": (b"\xff\xfe", "\udcff\udcfe"),
    "a control character": (b"a\x01", "a\x01"),
    "an escape that JSON does not have": (b"\\q", "\\q"),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.values(), ids=NAMES.keys())
def test_find_entries_takes_names_that_no_note_has(name: bytes, expected: str) -> None:
    assert [entry.name for entry in find(b'{"%b": {}, "b": {}}' % name)] == [expected, "b"]


@pytest.mark.parametrize("num_bytes", [1, 2, 3, 10**6])
@pytest.mark.parametrize("data", [b"{}", b' {"a": 1}\r\n', b'{"a": {}, "b": {}}'])
def test_find_entries_passes_over_a_byte_order_mark(data: bytes, num_bytes: int) -> None:
    marked = codecs.BOM_UTF8 + data
    found = [marked[entry.begin : entry.end] for entry in find(marked, num_bytes)]
    assert found == [data[entry.begin : entry.end] for entry in find(data)]


def test_find_entries_says_that_a_file_is_utf16() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        with pytest.raises(ConfigError, match=r"^folder/examples.json is UTF-16, expected UTF-8; "):
            find("\ufeff{}".encode(encoding))


@pytest.mark.parametrize("num_bytes", [1000, MAX_ENTRY_BYTES, 2**23])
@pytest.mark.parametrize(
    "entry", [b'"b": "%b"' % (b"x" * MAX_ENTRY_BYTES), b" " * MAX_ENTRY_BYTES + b'"b": 1']
)
def test_find_entries_believes_the_same_entries_wherever_blocks_end(
    entry: bytes, num_bytes: int
) -> None:
    with pytest.raises(ConfigError, match="it goes wrong behind byte 7"):
        find(b'{"a": 1,' + entry + b"}", num_bytes)


def test_find_entries_refuses_more_notes_than_a_source_may_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examples_json, "MAX_NOTES", 3)
    data = json.dumps({str(number): 1 for number in range(4)}).encode()
    with pytest.raises(ConfigError, match="lists more than 3 notes; cut it into several"):
        find(data)


@given(st.binary(max_size=40).map(lambda data: b'{"a": 1, ' + data), st.integers(1, 50))
def test_find_entries_of_anything_gives_entries_or_refuses(data: bytes, num_bytes: int) -> None:
    with suppress(ConfigError):
        for entry in find(data, num_bytes):
            ((name, _),) = parse_entries(data[entry.begin : entry.end])
            assert name == entry.name
