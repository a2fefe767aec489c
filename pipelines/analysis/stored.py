"""What a run keeps of its analysis: features.json; readers of it need no Keras."""

import json
import logging
from typing import Any, Final

from pipelines import storage

FEATURES_FILE: Final = "features.json"

ANALYSIS_VERSION: Final = 1
"""Raised whenever the same run would give other scores."""

log = logging.getLogger(__name__)


def load_features(run_uri: str) -> dict[str, Any] | None:
    """What `analyse` stored of a run; None where it stored nothing that this version reads."""
    uri = storage.join(run_uri, FEATURES_FILE)
    if not storage.exists(uri):
        return None
    try:
        content: dict[str, Any] = json.loads(storage.read(uri))
        is_known = content["analysis_version"] == ANALYSIS_VERSION and content["of"] is not None
    except (ValueError, KeyError, TypeError):
        log.warning("%s is damaged; the features are scored again", uri)
        return None
    return content if is_known else None
