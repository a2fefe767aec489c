"""What a run keeps of its analysis: features.json and cost.json; readers of them need no Keras."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

from pipelines import storage

FEATURES_FILE: Final = "features.json"
COST_FILE: Final = "cost.json"

ANALYSIS_VERSION: Final = 2
"""Raised whenever the same run would give other scores; 2 adds what metadata gain."""

_READABLE: Final = (1, 2)
"""Versions whose scores a report can show."""

COST_FORMAT: Final = 1
"""Of cost.json."""

Content = dict[str, Any]

log = logging.getLogger(__name__)


def load_features(run_uri: str) -> Content | None:
    """What `analyse` stored of a run; None where it stored nothing that this version reads."""

    def is_known(content: Content) -> bool:
        return content["analysis_version"] in _READABLE and content["of"] is not None

    return _load(storage.join(run_uri, FEATURES_FILE), is_known, "the features are scored again")


def load_cost(run_uri: str) -> Content | None:
    """What `measure_cost` stored of a run; None where it stored nothing that this version reads."""

    def is_known(content: Content) -> bool:
        num_lengths, models = len(content["lengths"]), content["models"].values()
        return (
            content["format_version"] == COST_FORMAT
            and content["batch_size"] > 0
            and bool(models)
            and all(_is_whole(of, num_lengths) for of in models)
        )

    return _load(storage.join(run_uri, COST_FILE), is_known, "the steps are timed again")


def _is_whole(times: Content, num_lengths: int) -> bool:
    """Whether a model's part of cost.json has a time of each length in each of its rounds."""
    rounds = times["seconds"]
    has_fit = {"exponent", "interval"} <= times.keys()
    return (
        has_fit
        and bool(rounds)
        and all(len(steps) == num_lengths and min(steps) > 0 for steps in rounds)
    )


def _load(uri: str, is_known: Callable[[Content], bool], then: str) -> Content | None:
    if not storage.exists(uri):
        return None
    try:
        content: Content = json.loads(storage.read(uri))
        known = is_known(content)
    except (ValueError, KeyError, TypeError):
        log.warning("%s is damaged; %s", uri, then)
        return None
    return content if known else None
