"""Names of the files and folders under a root.

    <root>/notes/<dataset_id>/   manifest.json  data/  quarantine/  validation/<digest>/
    <root>/runs/<run_id>/        run.json  notes.parquet  <model>/  report.html  decisions.json
    <root>/registry/             <model>/  gate/
    <root>/studies/<study_id>/   study.json  study.html; of a search: journal.log  locks/
    <root>/cache/                samples ready for training, when the root is a local folder

A name that is stored under a root is spelled here and nowhere else.
"""

from typing import Final

from pipelines import storage

# Folders of a root.
DATASETS_FOLDER: Final = "notes"
RUNS_FOLDER: Final = "runs"
REGISTRY_FOLDER: Final = "registry"
STUDIES_FOLDER: Final = "studies"

# A data set.
MANIFEST: Final = "manifest.json"
SHARDS_FOLDER: Final = "data"
QUARANTINE_FOLDER: Final = "quarantine"
SPANS: Final = "spans.parquet"
VALIDATION_FOLDER: Final = "validation"
SUMMARY: Final = "summary.json"
VERDICTS: Final = "verdicts.parquet"
ERRATA_FOLDER: Final = "errata"

# A run.
RECORD: Final = "run.json"
DECISIONS: Final = "decisions.json"
FEATURES_FILE: Final = "features.json"
COST_FILE: Final = "cost.json"
BASELINES_FOLDER: Final = "baselines"
REPORT_HTML: Final = "report.html"
REPORT_MARKDOWN: Final = "report.md"
RUN_NOTES: Final = "notes.parquet"
# Runs of an older version have these in place of notes.parquet, and TRAINED beside each model.
LEAKED_NOTES: Final = "leaked.parquet"
HELD_OUT_NOTES: Final = "gate.parquet"

# A model of a run, or one of its folds.
MODEL: Final = "model.keras"
ARCHITECTURE: Final = "architecture.json"
LABELS: Final = "labels.json"
HISTORY: Final = "history.json"
TRAINING: Final = "training.json"
TRAINED: Final = "trained.parquet"
CHECKPOINTS_FOLDER: Final = "checkpoints"
PREDICTIONS: Final = "predictions.parquet"
METRICS: Final = "metrics.json"
UNITS: Final = "units.json"
BATCHES: Final = "batches.json"
PROMOTION: Final = "promotion.json"
STRESS: Final = "stress.json"

# A study.
STUDY: Final = "study.json"
STUDY_PAGE: Final = "study.html"
JOURNAL: Final = "journal.log"
LOCKS_FOLDER: Final = "locks"

# The registry: the held-out notes are stored beside the folders of the models.
HOLDOUT: Final = "gate"
HOLDOUT_NOTES: Final = "notes.parquet"
HOLDOUT_LOOKS: Final = "looks"
HOLDOUT_PREDICTIONS: Final = "predictions"


def registry_uri(root: str, *parts: str) -> str:
    """Return a location in the registry of a root."""
    return storage.join(storage.absolute(root), REGISTRY_FOLDER, *parts)


def relative(root: str, uri: str) -> str:
    """Return a location relative to the root; unchanged if it is not under the root."""
    return uri.removeprefix(storage.join(storage.absolute(root), ""))


def resolve(root: str, place: str) -> str:
    """Return the full location of a result of `relative`, also after the root was moved."""
    if "://" in place or place.startswith("/"):
        return place
    return storage.join(storage.absolute(root), place)
