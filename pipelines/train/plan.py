"""Which run this is: found by what goes into it, so that the same work is not done twice.

Planning needs no Keras: it reads verdicts and digests, and stores which training notes are leaked.
"""

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from pipelines import storage
from pipelines.convert.plan import digest
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import FAMILIES
from pipelines.parquet import open_parquet
from pipelines.train.experiment import Experiment
from pipelines.train.leaks import leaked
from pipelines.validate.rules import LEAKED
from pipelines.validate.verdicts import Validation, load_reasons

TRAINING_VERSION: Final = 2
"""Raised, with a line of why in CHANGELOG.md, whenever the same inputs give another model."""

LEAKED_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
    ]
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """A run before it trains; small, since it travels between tasks.

    Attributes:
      uri: the folder that holds the run.
      train: verdicts on the training notes, those leaked to the test data counted as dropped.
      test: verdicts on the test notes.
      backend: of Keras.
    """

    run_id: str
    uri: str
    train: Validation
    test: Validation
    experiment: Experiment
    backend: str

    def model_uri(self, model: str, *parts: str) -> str:
        """Where the run keeps what belongs to one of its models."""
        return storage.join(self.uri, model, *parts)


def plan_run(
    *, train: Validation, test: Validation, experiment: Experiment, root: str, backend: str
) -> RunPlan:
    """Plans a run and stores, under `root`, which training notes leak into the test data.

    Args:
      root: the location that holds `notes/`, `runs/` and `registry/`.

    Raises:
      ConfigError: training and test data are the same.
      DatasetError: no notes are left to train on or to test with.
    """
    if train.manifest_digest == test.manifest_digest:
        raise ConfigError(f"{train.manifest_uri} is named as training and as test data; name two")
    run_id = digest(
        {
            "training_version": TRAINING_VERSION,
            "train": [train.manifest_digest, train.verdict_digest],
            "test": [test.manifest_digest, test.verdict_digest],
            "experiment": experiment.to_dict(),
            "backend": backend,
        }
    )[:16]
    uri = storage.join(storage.absolute(root), "runs", run_id)
    table = _leaked_notes(train, test)
    plan = RunPlan(run_id, uri, _without(train, table), test, experiment, backend)
    for side in (plan.train, plan.test):
        if not side.num_kept:
            raise DatasetError(
                f"no note of {side.manifest_uri} is left: {side.num_seen} seen, {side.dropped}"
            )
    log.info("run %s of %s and %s, in %s", run_id, train.manifest_uri, test.manifest_uri, uri)
    if table.num_rows:
        log.warning(
            "%d training notes are left out: the test data hold their audio", table.num_rows
        )
    columns = table.select(LEAKED_SCHEMA.names)
    storage.create(storage.join(uri, "leaked.parquet"), encode(columns))
    return plan


def training_reasons(plan: RunPlan) -> list[str | None]:
    """Why each training note is left out, `leaked` included; None for one that trains."""
    reasons = load_reasons(plan.train)
    with open_parquet(storage.join(plan.uri, "leaked.parquet")) as file:
        rows = file.read(columns=["row"])["row"].to_pylist()
    for row in rows:
        reasons[row] = LEAKED
    return reasons


def _leaked_notes(train: Validation, test: Validation) -> pa.Table:
    """The leaked training notes, with their row and their family."""
    notes = open_dataset(train.manifest_uri).read(
        ["note_str", "audio_digest", "instrument_family_str"]
    )
    tested = open_dataset(test.manifest_uri).read(["audio_digest"])
    reasons = leaked(
        notes["audio_digest"].to_pylist(),
        load_reasons(train),
        tested["audio_digest"].to_pylist(),
    )
    rows = pa.array([row for row, reason in enumerate(reasons) if reason == LEAKED], pa.int64())
    return notes.take(rows).add_column(0, LEAKED_SCHEMA.field("row"), rows)


def _without(train: Validation, table: pa.Table) -> Validation:
    """The verdicts with the leaked notes moved from the kept ones to the dropped ones."""
    if not table.num_rows:
        return train
    kept = Counter(train.families)
    kept.subtract(table["instrument_family_str"].to_pylist())
    return replace(
        train,
        num_kept=train.num_kept - table.num_rows,
        dropped=train.dropped | {LEAKED: table.num_rows},
        families={family: kept[family] for family in FAMILIES if kept[family]},
    )
