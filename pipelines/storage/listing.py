"""What lies under a location. Each verb may be repeated; a listing is of no single moment."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.storage.failures import explained
from pipelines.storage.filesystem import resolve
from pipelines.storage.location import name
from pipelines.storage.retry import retried


def sizes(uri: str) -> dict[str, int]:
    """Name and size in bytes of the objects directly under a location; may be empty."""
    return {name(e["name"]): int(e["size"]) for e in _entries(uri) if e["type"] == "file"}


def modified(uri: str) -> dict[str, float]:
    """Name and time of the last change of the objects directly under a location; may be empty.

    Returns:
      Seconds since 1970, by the store's clock.
    """
    return {name(e["name"]): modified_sec(e) for e in _entries(uri) if e["type"] == "file"}


def identities(uri: str) -> dict[str, tuple[int, str]]:
    """Name and identity of the objects directly under a location; may be empty."""
    return {name(e["name"]): identity_of(e) for e in _entries(uri) if e["type"] == "file"}


def list_folders(uri: str) -> list[str]:
    """Names of the folders directly under a location, sorted; may be empty."""
    return sorted(name(e["name"]) for e in _entries(uri) if e["type"] == "directory")


def glob(pattern: str) -> list[str]:
    """The objects that match a pattern with `*`, sorted by name."""
    fs, path = resolve(pattern)
    with explained(pattern):
        found = retried(pattern, lambda: fs.glob(path))
        return sorted(str(fs.unstrip_protocol(place)) for place in found)


def identity_of(entry: Mapping[str, Any]) -> tuple[int, str]:
    """Size and tag of an entry of a filesystem's listing."""
    tags = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "created")
    tag = next((entry[key] for key in tags if entry.get(key)), None)
    return int(entry["size"]), str(tag).strip('"')


def modified_sec(entry: Mapping[str, Any]) -> float:
    """When an entry of a filesystem's listing was last changed, in seconds since 1970."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if value is not None:
            return float(value)
    raise OSError(f"{entry['name']}: its store does not say when it was changed")


def _entries(uri: str) -> list[dict[str, Any]]:
    """What lies directly under a location, as its filesystem tells; nothing where it is absent."""
    fs, path = resolve(uri)
    with explained(uri):
        try:
            return list(retried(uri, lambda: fs.ls(path, detail=True)))
        except FileNotFoundError:
            return []
