"""Append-only lists of records: 00001.json, 00002.json, ..., each created only if it is absent.

A process that adds a record reads those before and chooses the next number. Of several that do so
at once one gets the number; the others read its record before they decide again.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.records import read_content, sealed, validated

# Of all records; 2 adds the seal.
FORMAT_VERSION: Final = 2

_READABLE: Final = (1, FORMAT_VERSION)
_MEND: Final = "restore it from a backup"

T = TypeVar("T")


def read_ledger(folder: str, kind: type[T], *, what: str) -> Sequence[T]:
    """Return the records of a folder in the order of their numbers, from 1; may be empty.

    Args:
      kind: a dataclass with a `number`, which is that of the file name, or a mapping.
      what: what a record is, for an error.

    Raises:
      DatasetError: one is missing or damaged, or of a format that this version does not read.
    """
    numbers = sorted(int(name[:-5]) for name in storage.sizes(folder) if _is_record(name))
    if numbers != list(range(1, len(numbers) + 1)):
        missing = min(set(range(1, numbers[-1])) - set(numbers))
        raise DatasetError(f"{record_uri(folder, missing)} is missing; restore it from a backup")
    return [_read(folder, number, kind, what) for number in numbers]


def _read(folder: str, number: int, kind: type[T], what: str) -> T:
    uri = record_uri(folder, number)
    content = read_content(uri, what=what, mend=_MEND, versions=_READABLE)
    return validated(content | {"number": number}, kind, uri=uri, what=what, mend=_MEND)


def add_record(folder: str, number: int, content: Mapping[str, Any]) -> bool:
    """Write a record unless its number is taken; return whether it was written."""
    data = sealed(content, format_version=FORMAT_VERSION)
    return storage.create(record_uri(folder, number), data)


def record_uri(folder: str, number: int) -> str:
    """Return the location of a record."""
    return storage.join(folder, f"{number:05d}.json")


def _is_record(name: str) -> bool:
    return re.fullmatch(r"\d{5,}\.json", name) is not None
