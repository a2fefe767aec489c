"""Stored records: JSON objects of a known format, read into checked values and written with a seal.

What is wrong with one is said in one sentence that names the file and what mends it. The seal is a
digest of all other keys: a file that was damaged, or changed by hand, is noticed. It is no
signature: whoever changes a record can compute it again.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final, TypeVar, cast

import pydantic_core
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from pipelines import storage
from pipelines.errors import DatasetError, FormatError, PipelineError

# The key of the digest of all other keys.
SEAL: Final = "content_digest"

# A larger file is not a record: the manifest of the largest split takes a third of one MiB.
MAX_BYTES: Final = 64 * 2**20

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

Content = dict[str, Any]
T = TypeVar("T")


def check_name(text: str) -> str:
    """Return a name that may become a part of a path: of a model, a run, a data set, a note.

    Raises:
      ValueError: it could lead out of its folder, or is no name.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a name of letters, digits, '.', '_' and '-'")
    return text


def check_place(text: str) -> str:
    """Return a location that does not climb out of the folder that it begins with.

    Raises:
      ValueError: it holds '..' or a NUL byte, or is empty.
    """
    if not text or "\0" in text or ".." in re.split(r"[/\\]", text):
        raise ValueError(f"{text[:80]!r} is not a location without '..'")
    return text


Name = Annotated[str, AfterValidator(check_name)]
Place = Annotated[str, AfterValidator(check_place)]
Count = Annotated[int, Field(ge=0, le=2**53)]


def now() -> str:
    """Return the present time in UTC, in ISO 8601, as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(content: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(content: Any) -> bytes:
    """Return the bytes of a JSON file, the same for the same content."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def sealed(content: Mapping[str, Any], *, format_version: int) -> bytes:
    """Return the bytes of a record: its version first, its seal last."""
    whole = {"format_version": format_version, **content}
    return to_json({**whole, SEAL: digest(whole)})


def read_record(
    uri: str,
    kind: type[T],
    *,
    what: str,
    mend: str,
    versions: Sequence[int],
) -> T:
    """Read a stored record.

    Args:
      kind: a dataclass, or another type that pydantic knows; further keys are left alone unless it
        forbids them.
      what: what the file should be, such as "the record of a run".
      mend: what to do where it is not.
      versions: values of `format_version` that this version reads.

    Raises:
      ConfigError: there is no such file.
      FormatError: it is of a format that this version does not read.
      DatasetError: it is damaged, or was changed.
    """
    content = read_content(uri, what=what, mend=mend, versions=versions)
    return validated(content, kind, uri=uri, what=what, mend=mend)


def read_content(
    uri: str,
    *,
    what: str,
    mend: str,
    versions: Sequence[int] | None,
    older: str = "",
) -> Content:
    """Read a stored record as JSON has it, with its version and its seal checked.

    Args:
      versions: None where the file says none.
      older: what to do where an older version wrote it, if anything helps.

    Raises:
      PipelineError: see `read_record`.
    """
    # A link to a device, or a file of another kind, may be of any size.
    if storage.local_path(uri) is not None and (size := storage.identity(uri)[0]) > MAX_BYTES:
        raise DatasetError(_sentence(uri, what, f"it has {size:,} bytes", mend))
    try:
        content = parse(storage.read(uri))
    except ValueError as err:
        raise DatasetError(_sentence(uri, what, str(err), mend)) from err
    if versions is None:
        return content
    found = content.get("format_version")
    # True is 1 in Python.
    if type(found) is not int:
        raise DatasetError(_sentence(uri, what, f"its format_version is {found!r:.40}", mend))
    if found not in versions:
        known = " or ".join(map(str, versions))
        helps = older if older and found < max(versions) else ""
        raise FormatError(
            f"expected format_version {known} in {uri}, found {found}; "
            f"{helps or 'use the version of this project that wrote it'}"
        )
    if SEAL in content and content[SEAL] != digest(_unsealed(content)):
        raise DatasetError(f"{uri} was changed after it was written; {mend}")
    return content


def parse(data: bytes | str) -> Content:
    """Return the JSON object in bytes from outside.

    Raises:
      ValueError: they are none; too deep a nesting and names that are not UTF-8 count as damage.
    """
    if not data.strip():
        raise ValueError("it is empty")
    content = pydantic_core.from_json(data)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a JSON {type(content).__name__} where an object belongs")
    return content


def validated(
    content: Mapping[str, Any],
    kind: type[T],
    *,
    uri: str,
    what: str,
    mend: str,
) -> T:
    """Return the value in the content of a record.

    Raises:
      DatasetError: a key is missing, or its value is of another type or out of range.
    """
    try:
        # By way of JSON, where a list may be a tuple and a text is never a number.
        adapter, data = _adapter(cast(Any, kind)), json.dumps(_unsealed(content))
        return cast(T, adapter.validate_json(data, strict=True))
    except ValidationError as err:
        raise DatasetError(_sentence(uri, what, _first(err), mend)) from err
    except (PipelineError, ValueError) as err:
        raise DatasetError(_sentence(uri, what, str(err), mend)) from err


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _unsealed(content: Mapping[str, Any]) -> Content:
    return {key: value for key, value in content.items() if key != SEAL}


def _first(err: ValidationError) -> str:
    """Return the first of what pydantic found, as `place: reason`."""
    found = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part)[:80] for part in found["loc"])
    reason = found["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    return f"{place}: {reason}" if place else reason


def _sentence(uri: str, what: str, why: str, mend: str) -> str:
    return f"{uri} is not {what}: {' '.join(why.split())[:300]}; {mend}"
