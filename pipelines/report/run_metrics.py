"""All figures of a run in one file for programs: `metrics.json` beside its report."""

import json
from collections.abc import Mapping
from typing import Any, Final

from pipelines import storage
from pipelines.evaluate.stored import load_metrics
from pipelines.layout import METRICS
from pipelines.promotion.stored import Promotion
from pipelines.report.published import NUM_TEST_NOTES
from pipelines.report.published_comparison import counts_as_official, difference
from pipelines.report.results import ModelResults, RunResults, load_promotions
from pipelines.validate.verdicts import Validation

FORMAT_VERSION: Final = 1


def store_run_metrics(run: RunResults) -> str:
    """Writes the file; returns its URI.

    Raises:
      DatasetError: metrics or a promotion that the run stored cannot be read.
    """
    uri = storage.join(run.uri, METRICS)
    text = json.dumps(run_metrics(run), indent=1, ensure_ascii=False)
    storage.put(uri, f"{text}\n".encode())
    return uri


def run_metrics(run: RunResults) -> dict[str, Any]:
    """The content, as JSON knows it.

    Returns:
      Beside what names the run, `datasets` by name, and `models` by name from small to large: each
      with its `metrics` as `<model>/metrics.json` has them, its `promotion`, null where none was
      asked for, and the `published` figures, null where none are.
    """
    record, promotions = run.record, load_promotions(run)
    return {
        "format_version": FORMAT_VERSION,
        "run_id": record.run_id,
        "created": record.created,
        "protocol": record.experiment.protocol,
        "seed": record.experiment.seed,
        "experiment": record.experiment.to_dict(),
        "training_version": record.training_version,
        "families": list(record.families),
        "datasets": {name: _dataset(of) for name, of in record.datasets.items()},
        "models": {
            model.name: {
                "metrics": load_metrics(storage.join(run.uri, model.name)),
                "promotion": _promotion(promotions.get(model.name)),
                "published": _published(run, model),
            }
            for model in run.models
        },
    }


def _dataset(of: Validation) -> Mapping[str, Any]:
    """What tells the notes from others, wherever they lie, and what became of them."""
    return {
        "manifest_digest": of.manifest_digest,
        "verdict_digest": of.verdict_digest,
        "num_seen": of.num_seen,
        "num_kept": of.num_kept,
        "num_quarantined": of.num_quarantined,
        "dropped": dict(of.dropped),
        "families": dict(of.families),
    }


def _promotion(of: Promotion | None) -> Mapping[str, Any] | None:
    if of is None:
        return None
    gate = of.gate and {"digest": of.gate.digest, "look": of.gate.look}
    named = {name: getattr(of, name) for name in ("outcome", "why", "by", "entry", "quality_drop")}
    return named | {"health": list(of.health), "gate": gate}


def _published(run: RunResults, model: ModelResults) -> Mapping[str, Any] | None:
    """The published figures, and whether they are of the same notes: by number of each family's.

    The difference from them is given where the same notes trained, too.
    """
    if model.published is None:
        return None
    return {
        "same_notes": counts_as_official(run, model),
        "difference": difference(run, model),
        "num_scored": NUM_TEST_NOTES,
        "accuracy": model.published.accuracy,
        "num_parameters": model.published.num_parameters,
        "confusion_matrix": [list(row) for row in model.published.confusion_matrix],
        "classification_report": {
            name: list(row) for name, row in model.published.classification_report.items()
        },
    }
