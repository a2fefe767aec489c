"""The reference report's findings, each as one run leaves it: for the page and other reports."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pipelines.report.findings import on_models as of_models
from pipelines.report.findings import on_notes as of_notes
from pipelines.report.findings.claim import Claim, Verdict
from pipelines.report.results import RunResults


def claims(
    run: RunResults, features: Mapping[str, Any] | None, cost: Mapping[str, Any] | None
) -> list[Claim]:
    """Every finding, in the reference's order.

    Args:
      features: the content of features.json, None where the run has none.
      cost: that of cost.json, likewise.
    """
    accuracy = of_models.difference(run)
    return [
        of_models.capacity(run, accuracy, cost),
        of_models.epochs(run, accuracy),
        of_notes.length(cost),
        of_notes.audio(run, features),
        of_models.pooling_and_dropout(run),
        of_models.dense_layer(run),
        of_notes.batch_size(run),
        of_notes.invalid_records(run),
    ]


def tally(found: Sequence[Claim]) -> str:
    """How many claims came to each verdict, such as `2 confirmed, 1 contradicted, 5 undecided`."""
    numbers = Counter(of.verdict for of in found)
    return ", ".join(f"{numbers[verdict]} {verdict}" for verdict in get_args(Verdict))
