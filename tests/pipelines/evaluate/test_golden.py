"""The metrics of a drawn table, as they once were: a change of any of them has to be meant.

Written anew by `python -m tests.pipelines.evaluate.test_golden`, with `EVALUATION_VERSION` raised.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from pipelines.evaluate.stored import load_metrics, store_metrics
from pipelines.evaluate.summary import summarise
from tests.pipelines.evaluate.tables import drawn

_FOLDER: Final = Path(__file__).parent / "golden"


def _store(folder: Path) -> None:
    figures = summarise(drawn(120, num_instruments=10))
    store_metrics(str(folder), figures, model="drawn", num_parameters=9_098)


def _leaves(content: Any, place: str = "") -> dict[str, Any]:
    """The values by their place: which keys there are is compared with what they hold."""
    if not isinstance(content, dict | list):
        return {place: content}
    pairs: Iterable[Any] = content.items() if isinstance(content, dict) else enumerate(content)
    return {k: v for key, of in pairs for k, v in _leaves(of, f"{place}/{key}").items()}


def test_metrics_are_the_golden_ones(tmp_path: Path) -> None:
    _store(tmp_path)
    found, golden = (_leaves(load_metrics(str(of))) for of in (tmp_path, _FOLDER))
    assert found.keys() == golden.keys()
    assert {key: type(of) for key, of in found.items()} == {k: type(v) for k, v in golden.items()}
    for key, value in golden.items():
        # Sums in another order differ in their last digits.
        assert found[key] == (pytest.approx(value, rel=1e-9) if type(value) is float else value)


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    _store(_FOLDER)
    print(json.dumps(load_metrics(str(_FOLDER)))[:80])  # noqa: T201 - it is a command
