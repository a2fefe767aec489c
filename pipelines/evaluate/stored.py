"""What a run keeps of an evaluation: predictions.parquet, and metrics.json that follows from it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import load_predictions
from pipelines.evaluate.summary import FORMAT_VERSION, summarise
from pipelines.notes import CLASSES

PREDICTIONS = "predictions.parquet"
METRICS = "metrics.json"


def evaluate_again(
    model_uri: str, *, model: str, num_parameters: int, families: Sequence[str] = CLASSES
) -> dict[str, Any]:
    """Computes metrics.json anew from the stored predictions; needs neither model nor audio.

    Args:
      model_uri: the folder of one model of a run.

    Returns:
      The content of metrics.json.

    Raises:
      ConfigError: there are no predictions.
      DatasetError: they are of another version.
    """
    predictions = load_predictions(storage.join(model_uri, PREDICTIONS))
    figures = summarise(predictions, families)
    return store_metrics(model_uri, figures, model=model, num_parameters=num_parameters)


def store_metrics(
    model_uri: str, figures: Mapping[str, Any], *, model: str, num_parameters: int
) -> dict[str, Any]:
    """Writes metrics.json unless it is there already, and returns its content."""
    content = {"model": model, "num_parameters": num_parameters, **figures}
    uri = storage.join(model_uri, METRICS)
    data = (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
    if not storage.exists(uri) or storage.read(uri) != data:
        storage.put(uri, data)
    return content


def load_metrics(model_uri: str) -> dict[str, Any]:
    """Reads metrics.json.

    Raises:
      ConfigError: there is none.
      DatasetError: it is of a format that this version does not read, or no JSON.
    """
    uri = storage.join(model_uri, METRICS)
    try:
        content: dict[str, Any] = json.loads(storage.read(uri))
        found = content.get("format_version")
    except (ValueError, AttributeError) as err:
        raise DatasetError(f"{uri} is damaged: {err}; evaluate the run again") from err
    if found != FORMAT_VERSION:
        is_older = isinstance(found, int) and found < FORMAT_VERSION
        raise DatasetError(
            f"expected format_version {FORMAT_VERSION} in {uri}, found {found!r}; "
            + (
                "run the same training again, which scores again and retrains nothing"
                if is_older
                else "use the version of this project that wrote it"
            )
        )
    return content
