"""Contents of JSON files compared by value."""

from collections.abc import Iterable
from typing import Any

import pytest


def leaves(content: Any, place: str = "") -> dict[str, Any]:
    """The values by their place: which keys there are is compared with what they hold."""
    if not isinstance(content, dict | list):
        return {place: content}
    pairs: Iterable[Any] = content.items() if isinstance(content, dict) else enumerate(content)
    return {k: v for key, inner in pairs for k, v in leaves(inner, f"{place}/{key}").items()}


def assert_alike(content: Any, golden: Any, *, rel: float) -> None:
    """The same keys, types and values, with floats as near as `rel`."""
    found, wanted = leaves(content), leaves(golden)
    assert found.keys() == wanted.keys()
    assert {key: type(value) for key, value in found.items()} == {
        k: type(v) for k, v in wanted.items()
    }
    for key, value in wanted.items():
        expected = pytest.approx(value, rel=rel) if type(value) is float else value
        assert found[key] == expected, key
