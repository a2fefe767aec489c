"""All figures of a run in one file for programs: `metrics.json` beside its report."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from pipelines import storage
from pipelines.evaluate.stored import load_metrics
from pipelines.layout import METRICS
from pipelines.promotion.stored import Promotion
from pipelines.records import to_json
from pipelines.report.published import REPORT
from pipelines.report.published_comparison import counts_as_official, difference
from pipelines.report.results import ModelResults, RunResults, load_promotions
from pipelines.validate.verdicts import Validation

FORMAT_VERSION: Final = 1

# What identifies notes wherever they are stored, and what became of them.
_DATASET_KEYS: Final = (
    "manifest_digest",
    "verdict_digest",
    "num_seen",
    "num_kept",
    "num_quarantined",
    "dropped",
    "families",
)


def store_run_metrics(run: RunResults) -> str:
    """Write the file and return its URI.

    Raises:
      DatasetError: metrics or a promotion that the run stored cannot be read.
    """
    uri = storage.join(run.uri, METRICS)
    storage.put(uri, to_json(run_metrics(run)))
    return uri


def run_metrics(run: RunResults) -> dict[str, Any]:
    """Return the content as JSON has it.

    Returns:
      What identifies the run, `datasets` by name, and `models` by name from small to large: each
      with its `metrics` as `<model>/metrics.json` has them, its `promotion`, null where there was
      none, and the `published` figures, null where none are.
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
        "datasets": {name: _dataset(dataset) for name, dataset in record.datasets.items()},
        "models": {
            model.name: {
                "metrics": load_metrics(storage.join(run.uri, model.name)),
                "promotion": _promotion(promotions.get(model.name)),
                "published": _published(run, model),
            }
            for model in run.models
        },
    }


def _dataset(dataset: Validation) -> Mapping[str, Any]:
    content = asdict(dataset)
    return {key: content[key] for key in _DATASET_KEYS}


def _promotion(promotion: Promotion | None) -> Mapping[str, Any] | None:
    if promotion is None:
        return None
    content, gate = asdict(promotion), promotion.gate
    keys = ("outcome", "why", "by", "entry", "quality_drop")
    return {
        **{key: content[key] for key in keys},
        "health": list(promotion.health),
        "gate": gate and {"digest": gate.digest, "look": gate.look},
    }


def _published(run: RunResults, model: ModelResults) -> Mapping[str, Any] | None:
    """Return the published figures, and whether each family has as many notes.

    The difference from them is given where the same notes trained, too.
    """
    if model.published is None:
        return None
    published = asdict(model.published)
    keys = ("accuracy", "num_parameters", "confusion_matrix", "classification_report")
    return {
        "same_notes": counts_as_official(run, model),
        "difference": difference(run, model),
        "num_scored": REPORT.num_test_notes,
        **{key: published[key] for key in keys},
    }
