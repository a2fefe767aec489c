"""Which run this is: found by what goes into it, so that the same work is not done twice.

Planning needs no Keras: it reads verdicts and digests, and stores which notes are leaked.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from pipelines import storage
from pipelines.convert.plan import digest
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import FAMILIES
from pipelines.parquet import open_parquet
from pipelines.train.experiment import Experiment, check_datasets
from pipelines.train.folds import NUM_FOLDS
from pipelines.train.leaks import leaked
from pipelines.validate.rules import LEAKED
from pipelines.validate.verdicts import Validation, load_reasons

TRAINING_VERSION: Final = 2
"""Raised, with a line of why in CHANGELOG.md, whenever the same inputs give another model."""

LEAKED_SCHEMA: Final = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
    ]
)
"""`dataset` is `train` or `valid`; `row` is of that one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """A run before it trains; small, since it travels between tasks.

    Attributes:
      uri: the folder that holds the run.
      train: verdicts on the training notes, those leaked to other data sets counted as dropped.
      valid: verdicts on the notes that choose the epoch, likewise; None where the protocol takes
        them from the training data.
      test: verdicts on the notes that are scored: in `grouped` those that train, elsewhere others.
      backend: of Keras.
    """

    run_id: str
    uri: str
    train: Validation
    valid: Validation | None
    test: Validation
    experiment: Experiment
    backend: str

    @property
    def folds(self) -> Sequence[int | None]:
        """The trainings of each model: one, without a number, or one a fold, numbered from 1."""
        return range(1, NUM_FOLDS + 1) if self.experiment.protocol == "grouped" else (None,)

    @property
    def datasets(self) -> dict[str, Validation]:
        """The verdicts by the part that a data set plays."""
        valid = {} if self.valid is None else {"valid": self.valid}
        return {"train": self.train, **valid, "test": self.test}

    def model_uri(self, model: str, *parts: str) -> str:
        """Where the run keeps what belongs to one of its models, or to one of its trainings."""
        return storage.join(self.uri, model, *parts)


def training_name(model: str, fold: int | None) -> str:
    """The place of one training of a model under its run."""
    return model if fold is None else f"{model}/fold-{fold}"


def plan_run(
    *,
    train: Validation,
    test: Validation | None,
    experiment: Experiment,
    root: str,
    backend: str,
    valid: Validation | None = None,
) -> RunPlan:
    """Plans a run and stores, under `root`, which of its notes leak into what scores them.

    Args:
      test: None in the protocol `grouped`, which scores the training notes out of fold.
      root: the location that holds `notes/`, `runs/` and `registry/`.
      valid: notes that choose the epoch, in the protocol `official`.

    Raises:
      ConfigError: the protocol takes other data sets, or two of them are the same.
      DatasetError: no notes are left to train on or to test with.
    """
    check_datasets(experiment.protocol, valid=valid is not None, test=test is not None)
    given = {"train": train, "valid": valid, "test": test}
    sides = {name: side for name, side in given.items() if side is not None}
    _check_distinct(sides)
    run_id = digest(
        {
            "training_version": TRAINING_VERSION,
            **{name: [side.manifest_digest, side.verdict_digest] for name, side in sides.items()},
            "experiment": experiment.to_dict(),
            "backend": backend,
        }
    )[:16]
    uri = storage.join(storage.absolute(root), "runs", run_id)
    tables = {name: _leaked_notes(name, sides) for name in sides if name != "test"}
    sides |= {name: _without(sides[name], table) for name, table in tables.items()}
    for side in sides.values():
        if not side.num_kept:
            raise DatasetError(
                f"no note of {side.manifest_uri} is left: {side.num_seen} seen, {side.dropped}"
            )
    log.info(
        "run %s of %s, in %s",
        *(run_id, " and ".join(side.manifest_uri for side in sides.values()), uri),
    )
    found = pa.concat_tables([table.select(LEAKED_SCHEMA.names) for table in tables.values()])
    if found.num_rows:
        log.warning(
            "%d notes are left out: the data that score the models hold their audio", found.num_rows
        )
    storage.create(storage.join(uri, "leaked.parquet"), encode(found))
    return RunPlan(
        run_id=run_id,
        uri=uri,
        train=sides["train"],
        valid=sides.get("valid"),
        test=sides.get("test", sides["train"]),
        experiment=experiment,
        backend=backend,
    )


def training_reasons(plan: RunPlan, dataset: str = "train") -> list[str | None]:
    """Why each note of `train` or `valid` is left out, `leaked` included; None for one that is not.

    Args:
      dataset: the part that the data set plays.
    """
    reasons = load_reasons(plan.datasets[dataset])
    with open_parquet(storage.join(plan.uri, "leaked.parquet")) as file:
        found: list[dict[str, Any]] = file.read(columns=["dataset", "row"]).to_pylist()
    for note in found:
        if note["dataset"] == dataset:
            reasons[note["row"]] = LEAKED
    return reasons


def _check_distinct(sides: dict[str, Validation]) -> None:
    named: dict[str, str] = {}
    for name, side in sides.items():
        other = named.setdefault(side.manifest_digest, name)
        if other != name:
            raise ConfigError(
                f"{side.manifest_uri} is named as {other} and as {name} data; name another one"
            )


def _leaked_notes(name: str, sides: dict[str, Validation]) -> pa.Table:
    """The notes of a data set whose audio a later one holds, with their row and their family."""
    names = list(sides)
    later = [sides[other] for other in names[names.index(name) + 1 :]]
    scoring = [
        audio_digest
        for side in later
        for audio_digest in open_dataset(side.manifest_uri)
        .read(["audio_digest"])["audio_digest"]
        .to_pylist()
    ]
    side = sides[name]
    notes = open_dataset(side.manifest_uri).read(
        ["note_str", "audio_digest", "instrument_family_str"]
    )
    reasons = leaked(notes["audio_digest"].to_pylist(), load_reasons(side), scoring)
    rows = pa.array([row for row, reason in enumerate(reasons) if reason == LEAKED], pa.int64())
    found = notes.take(rows).add_column(0, LEAKED_SCHEMA.field("row"), rows)
    return found.add_column(
        0, LEAKED_SCHEMA.field("dataset"), pa.array([name] * len(rows), pa.string())
    )


def _without(side: Validation, table: pa.Table) -> Validation:
    """The verdicts with the leaked notes moved from the kept ones to the dropped ones."""
    if not table.num_rows:
        return side
    kept = Counter(side.families)
    kept.subtract(table["instrument_family_str"].to_pylist())
    return replace(
        side,
        num_kept=side.num_kept - table.num_rows,
        dropped=side.dropped | {LEAKED: table.num_rows},
        families={family: kept[family] for family in FAMILIES if kept[family]},
    )
