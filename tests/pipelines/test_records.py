import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, DatasetError, FormatError
from pipelines.records import MAX_BYTES, Count, Name, Place, check_name, read_record, sealed


@dataclass(frozen=True)
class Thing:
    name: Name
    place: Place
    sizes: tuple[Count, ...]
    share: float
    note: str = ""


THING = Thing("a-1_b.c", "notes/a/manifest.json", (1, 2), 0.5)


def read(path: Path) -> Thing:
    return read_record(str(path), Thing, what="a thing", mend="make it again", versions=(1, 2))


def write(path: Path, **changes: object) -> Path:
    content = {"name": "a-1_b.c", "place": THING.place, "sizes": [1, 2], "share": 0.5}
    path.write_bytes(sealed(content | changes, format_version=2))
    return path


def test_read_record_gives_back_what_was_sealed(tmp_path: Path) -> None:
    assert read(write(tmp_path / "thing.json")) == THING
    assert read(write(tmp_path / "more.json", surprise=1)) == THING


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_any_value_keeps_its_seal(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    try:
        data = sealed({"value": value}, format_version=2)
    except UnicodeEncodeError:
        # No record of this project holds half of a pair.
        return
    path = tmp_path_factory.mktemp("sealed") / "thing.json"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"name: field required|number out of range"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"name": "../x"},
            "is not a thing: name: '../x' is not a name of letters.*; make it again",
        ),
        ({"name": ".."}, "name: '..' is not a name"),
        ({"name": ""}, "name: '' is not a name"),
        ({"name": "a\0b"}, r"name: 'a\\x00b' is not a name"),
        ({"name": "a" * 201}, "name: 'aaa"),
        ({"place": "a/../b"}, "place: 'a/../b' is not a location"),
        ({"place": "a\\..\\b"}, "place: .* is not a location"),
        ({"sizes": [1, -1]}, "sizes.1: input should be greater than or equal to 0"),
        ({"sizes": [10**30]}, "sizes.0: input should be less than or equal to"),
        ({"sizes": ["1"]}, "sizes.0: input should be a valid integer"),
        ({"sizes": [True]}, "sizes.0: input should be a valid integer"),
        ({"share": "0.5"}, "share: input should be a valid number"),
        ({"share": None}, "share: input should be a valid number"),
    ],
)
def test_read_record_names_what_is_wrong(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(write(tmp_path / "thing.json", **change))


def test_read_record_notices_a_change_by_the_seal(tmp_path: Path) -> None:
    path = write(tmp_path / "thing.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"share": 0.6}))
    with pytest.raises(DatasetError, match=r"thing\.json was changed after it was written; make"):
        read(path)
    # Formatted by an editor it is the same.
    path.write_text(json.dumps(content, sort_keys=True))
    assert read(path) == THING


def test_read_record_refuses_what_is_too_large_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DatasetError, match=r"is not a thing: it has 67,108,865 bytes; make it"):
        read(path)


def test_read_record_refuses_a_folder_and_says_where_none_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no file .*nothing\.json"):
        read(tmp_path / "nothing.json")


def test_read_record_tells_another_version_from_damage(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_bytes(sealed({}, format_version=3))
    with pytest.raises(
        FormatError, match=r"expected format_version 1 or 2 in .*, found 3; use the"
    ):
        read(path)


@given(st.text())
def test_a_name_never_leaves_its_folder(text: str) -> None:
    try:
        name = check_name(text)
    except ValueError:
        return
    assert Path("/root", name).resolve().parent == Path("/root")
