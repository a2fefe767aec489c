"""The metrics of a drawn table, as they once were: a change of any of them has to be meant.

Written anew by `python -m tests.pipelines.evaluate.test_golden`, with `EVALUATION_VERSION` raised.
"""

import json
from pathlib import Path
from typing import Final

from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import load_metrics, store_metrics
from tests.pipelines.evaluate.leaves import assert_alike
from tests.pipelines.evaluate.tables import drawn

_FOLDER: Final = Path(__file__).parent / "golden"


def _store(folder: Path) -> None:
    figures = summarise(drawn(120, num_instruments=10))
    store_metrics(str(folder), figures, model="drawn", num_parameters=9_098)


def test_metrics_are_the_golden_ones(tmp_path: Path) -> None:
    _store(tmp_path)
    # Sums in another order differ in their last digits.
    assert_alike(load_metrics(str(tmp_path)), load_metrics(str(_FOLDER)), rel=1e-9)


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    _store(_FOLDER)
    print(json.dumps(load_metrics(str(_FOLDER)))[:80])  # noqa: T201 - it is a command
