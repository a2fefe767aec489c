"""List what is stored under a location. Each function may be repeated; no listing is atomic.

A local link counts as its target. A broken link is neither a file nor ignored: a list of files
that contains one is refused, and among folders it is listed, so that opening it gives a clear
error.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipelines.errors import ConfigError
from pipelines.storage.failures import is_missing_bucket, user_errors, with_retries
from pipelines.storage.filesystem import resolve
from pipelines.storage.local import broken_link
from pipelines.storage.location import absolute, join, local_path, name

_BROKEN: Final = "broken link"


def sizes(uri: str) -> dict[str, int]:
    """Return name and size in bytes of the objects directly under a location; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): int(e["size"]) for e in _files(uri)}


def modified(uri: str) -> dict[str, float]:
    """Return name and time of the last change of the objects directly under a location.

    Returns:
      Seconds since 1970, by the store's clock; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): modified_sec(e) for e in _files(uri)}


def identities(uri: str) -> dict[str, tuple[int, str]]:
    """Return name and identity of the objects directly under a location; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): identity_of(e) for e in _files(uri)}


def list_folders(uri: str) -> list[str]:
    """Return the names of the folders directly under a location, sorted; may be empty."""
    return sorted(name(e["name"]) for e in _entries(uri) if e["type"] in ("directory", _BROKEN))


def list_names(uri: str) -> set[str]:
    """Return the names of everything directly under a location; may be empty."""
    return {name(e["name"]) for e in _entries(uri)}


def glob(pattern: str) -> list[str]:
    """Return the locations of the files and folders that match a pattern, sorted.

    `*` matches any part of one name, except for a dot at its beginning. Everything else matches
    itself, brackets and question marks too; a part of the pattern that is the name of an entry
    matches that entry only.

    Raises:
      ConfigError: the pattern leaves the bucket or the host open.
    """
    pattern = absolute(pattern)
    cut = pattern.rfind("/", 0, pattern.find("*") if "*" in pattern else None)
    if pattern[:cut].endswith(":/"):
        raise ConfigError(f"a `*` cannot stand for a bucket or a host, got {pattern}; name it")
    *folders, last = pattern[cut + 1 :].split("/")
    places = [pattern[:cut] or "/"]
    for part in folders:
        places = [join(place, found) for place in places for found in _matching(place, part, True)]
    return sorted(join(place, found) for place in places for found in _matching(place, last, False))


def _matching(folder: str, part: str, is_folder: bool) -> list[str]:
    """Return the names in a folder that match one part of a pattern."""
    names = list_folders(folder) if is_folder else sorted(list_names(folder))
    if part in names:
        return [part]
    expression = re.compile(".*".join(map(re.escape, part.split("*"))), re.DOTALL)
    hidden = part.startswith(".")
    return [
        found
        for found in names
        if expression.fullmatch(found) and (hidden or not found.startswith("."))
    ]


def identity_of(entry: Mapping[str, Any]) -> tuple[int, str]:
    """Return size and tag of an entry of a filesystem's listing."""
    tags = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "created")
    tag = next((entry[key] for key in tags if entry.get(key)), None)
    return int(entry["size"]), str(tag).strip('"')


def modified_sec(entry: Mapping[str, Any]) -> float:
    """Return when an entry of a filesystem's listing last changed, in seconds since 1970."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if value is not None:
            return float(value)
    raise OSError(f"{entry['name']}: its store does not say when it was changed")


def _files(uri: str) -> list[dict[str, Any]]:
    """Return the entries of the objects directly under a location."""
    entries = _entries(uri)
    broken = [entry for entry in entries if entry["type"] == _BROKEN]
    if broken:
        others = f" (and {len(broken) - 1} more in {uri})" if len(broken) > 1 else ""
        raise ConfigError(
            f"{broken[0]['problem']}{others}; put back what it points to or remove it"
        )
    return [entry for entry in entries if entry["type"] == "file"]


def _entries(uri: str) -> list[dict[str, Any]]:
    """Return the entries directly under a location; none if it is absent."""
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri):
        try:
            if local is not None:
                return _local_entries(local)
            entries = with_retries(uri, lambda: fs.ls(path, detail=True))
            # Some clients store an empty object for the folder itself.
            return [e for e in entries if e["type"] != "file" or not e["name"].endswith("/")]
        except FileNotFoundError as err:
            if is_missing_bucket(err) or (local is not None and broken_link(local)):
                raise
            return []


def _local_entries(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a local folder; fsspec's own listing does not follow links."""
    entries = list[dict[str, Any]]()
    with os.scandir(folder) as found:
        for entry in found:
            try:
                stat = entry.stat()
                kind = "file" if entry.is_file() else "directory" if entry.is_dir() else "other"
            except OSError as err:
                if not (problem := broken_link(Path(entry.path))):
                    if isinstance(err, FileNotFoundError):
                        # It was removed in the meantime.
                        continue
                    raise
                # Editors lock a file by a hidden link that points to nothing.
                if not entry.name.startswith("."):
                    entries.append({"name": entry.path, "type": _BROKEN, "problem": problem})
                continue
            entries.append(
                {"name": entry.path, "type": kind, "size": stat.st_size, "mtime": stat.st_mtime}
            )
    return entries
