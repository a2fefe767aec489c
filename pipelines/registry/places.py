"""Where the registry lies under a root, and locations that stay true when the root is moved."""

from typing import Final

from pipelines import storage

GATE: Final = "gate"
"""The folder beside those of the models."""


def registry_uri(root: str, *parts: str) -> str:
    """A place in the registry of a root."""
    return storage.join(storage.absolute(root), "registry", *parts)


def relative(root: str, uri: str) -> str:
    """A location as seen from the root, where it lies under it."""
    return uri.removeprefix(storage.join(storage.absolute(root), ""))


def resolved(root: str, place: str) -> str:
    """The location that `relative` gave."""
    if "://" in place or place.startswith("/"):
        return place
    return storage.join(storage.absolute(root), place)
