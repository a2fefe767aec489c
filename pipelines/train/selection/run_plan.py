"""Which run this is: found by what goes into it, so that the same work is not done twice.

Planning needs no Keras: it reads verdicts and digests, and stores which notes are leaked and which
belong to the gate.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment, check_datasets
from pipelines.layout import LEAKED_NOTES
from pipelines.records import digest
from pipelines.train.selection.holdout import (
    HoldoutMode,
    exclude,
    holdout_notes,
    leaked_notes,
    store_notes,
)
from pipelines.train.selection.run_notes import load_kept_out
from pipelines.train.selection.split import NUM_FOLDS, Indices
from pipelines.validate.rules import HELD_OUT, LEAKED
from pipelines.validate.verdicts import Validation, load_reasons

TRAINING_VERSION: Final = 2
"""Raised, with a line of why in CHANGELOG.md, whenever the same inputs give another model."""

_GATED_NOTES: Final = "gate.parquet"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """A run before it trains; small, since it travels between tasks.

    Attributes:
      uri: the folder that holds the run.
      train: verdicts on the training notes, those leaked to other data sets counted as dropped, as
        are those of a gate of whole instruments.
      valid: verdicts on the notes that choose the epoch, likewise; None where the protocol takes
        them from the training data.
      test: verdicts on the notes that are scored: in `grouped` those that train, elsewhere others.
      backend: of Keras.
      gate: digest of the gate whose notes would train without it; None where none of them would.
    """

    run_id: str
    uri: str
    train: Validation
    valid: Validation | None
    test: Validation
    experiment: Experiment
    backend: str
    gate: str | None = None

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
    gating: HoldoutMode = "off",
) -> RunPlan:
    """Plans a run and stores, under `root`, which of its notes leak into what scores them.

    A gate is part of what a run is where the run would train on a note of it, and only there.

    Args:
      test: None in the protocol `grouped`, which scores the training notes out of fold.
      root: the location that holds `notes/`, `runs/` and `registry/`.
      valid: notes that choose the epoch, in the protocol `official`.
      gating: whether notes of the registry's gate are kept out of training.

    Raises:
      ConfigError: the protocol takes other data sets, or two of them are the same.
      DatasetError: no notes are left to train on or to test with.
    """
    check_datasets(experiment.protocol, valid=valid is not None, test=test is not None)
    given = {"train": train, "valid": valid, "test": test}
    sides = {name: side for name, side in given.items() if side is not None}
    _check_distinct(sides)
    tables = {name: leaked_notes(name, sides) for name in sides if name != "test"}
    digests = {name: [side.manifest_digest, side.verdict_digest] for name, side in sides.items()}
    gate, gated = holdout_notes(sides, tables, experiment=experiment, root=root, gating=gating)
    run_id = digest(
        {
            "training_version": TRAINING_VERSION,
            **digests,
            "experiment": experiment.to_dict(),
            "backend": backend,
            **({"gate": gate} if gate else {}),
        }
    )[:16]
    uri = storage.join(storage.absolute(root), "runs", run_id)
    sides |= {name: exclude(sides[name], LEAKED, table) for name, table in tables.items()}
    if experiment.keeps_best_epoch:
        sides |= {name: exclude(sides[name], HELD_OUT, table) for name, table in gated.items()}
    for side in sides.values():
        if not side.num_kept:
            raise DatasetError(
                f"no note of {side.manifest_uri} is left: {side.num_seen} seen, {side.dropped}"
            )
    log.info(
        "run %s of %s, in %s",
        *(run_id, " and ".join(side.manifest_uri for side in sides.values()), uri),
    )
    if num := store_notes(storage.join(uri, LEAKED_NOTES), tables):
        log.warning("%d notes are left out: the data that score the models hold their audio", num)
    if gate:
        num = store_notes(storage.join(uri, _GATED_NOTES), gated)
        log.info("%d notes of the gate %s do not train", num, gate[:12])
    return RunPlan(
        run_id=run_id,
        uri=uri,
        train=sides["train"],
        valid=sides.get("valid"),
        test=sides.get("test", sides["train"]),
        experiment=experiment,
        backend=backend,
        gate=gate,
    )


def training_reasons(plan: RunPlan, dataset: str = "train") -> list[str | None]:
    """Why each note of `train` or `valid` is left out, `leaked` included; None for one that is not.

    Args:
      dataset: the part that the data set plays.
    """
    reasons = load_reasons(plan.datasets[dataset])
    for row in _stored_rows(plan, LEAKED_NOTES, dataset):
        reasons[row] = LEAKED
    if plan.gate and plan.experiment.keeps_best_epoch:
        for row in _stored_rows(plan, _GATED_NOTES, dataset):
            reasons[row] = HELD_OUT
    return reasons


def gated_training_rows(plan: RunPlan) -> Indices:
    """The rows of the training data whose notes the run keeps for the gate; may be empty."""
    return np.array(_stored_rows(plan, _GATED_NOTES, "train") if plan.gate else [], np.int64)


def _check_distinct(sides: dict[str, Validation]) -> None:
    named: dict[str, str] = {}
    for name, side in sides.items():
        other = named.setdefault(side.manifest_digest, name)
        if other != name:
            raise ConfigError(
                f"{side.manifest_uri} is named as {other} and as {name} data; name another one"
            )


def _stored_rows(plan: RunPlan, name: str, dataset: str) -> list[int]:
    uri = storage.join(plan.uri, name)
    notes = [note for note in load_kept_out(uri).to_pylist() if note["dataset"] == dataset]
    num_seen = plan.datasets[dataset].num_seen
    if any(not 0 <= note["row"] < num_seen for note in notes):
        raise DatasetError(
            f"{uri} names rows that {dataset} does not have; run the same training again"
        )
    return [note["row"] for note in notes]
