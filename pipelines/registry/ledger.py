"""Records that are only ever added: 00001.json, 00002.json, ..., each created where it is absent.

Who adds one names its number, having read those before: of several that do so at once one wins the
number, and the others read what it wrote before they decide again.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import storage
from pipelines.errors import DatasetError

Content = Mapping[str, Any]


def read_ledger(folder: str, *, format_version: int) -> Sequence[Content]:
    """The records of a folder in the order of their numbers, from 1; may be empty.

    Raises:
      DatasetError: one is missing or damaged, or of a format that this version does not read.
    """
    numbers = sorted(int(name[:-5]) for name in storage.sizes(folder) if _is_record(name))
    if numbers != list(range(1, len(numbers) + 1)):
        missing = min(set(range(1, numbers[-1])) - set(numbers))
        raise DatasetError(f"{record_uri(folder, missing)} is missing; restore it from a backup")
    return [read_record(record_uri(folder, of), format_version=format_version) for of in numbers]


def read_record(uri: str, *, format_version: int) -> Content:
    """One record.

    Raises:
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    try:
        content: Content = json.loads(storage.read(uri))
        found = content["format_version"]
    except (ValueError, KeyError, TypeError) as err:
        raise DatasetError(f"{uri} is damaged: {err!r}; restore it from a backup") from err
    if found != format_version:
        raise DatasetError(
            f"expected format_version {format_version} in {uri}, found {found!r}; "
            "use the version of this project that wrote it"
        )
    return content


def add_record(folder: str, number: int, content: Content, *, format_version: int) -> bool:
    """Writes a record unless its number is taken; says whether it did."""
    text = json.dumps({"format_version": format_version, **content}, indent=1, ensure_ascii=False)
    return storage.create(record_uri(folder, number), f"{text}\n".encode())


def record_uri(folder: str, number: int) -> str:
    """Where a record is."""
    return storage.join(folder, f"{number:05d}.json")


def _is_record(name: str) -> bool:
    return re.fullmatch(r"\d{5,}\.json", name) is not None
