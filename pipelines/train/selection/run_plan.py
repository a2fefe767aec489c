"""Plan of a run: its identity, and what each note does in it.

The identity follows from all that goes into the run, so that the same work is found and not done
twice. Planning needs no Keras.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment, check_datasets
from pipelines.layout import RUNS_FOLDER
from pipelines.notes import FAMILIES, NUM_SAMPLES
from pipelines.records import digest
from pipelines.registry.runs import load_run
from pipelines.text import counted, listed
from pipelines.train.selection.holdout import (
    HoldoutMode,
    Side,
    find_held_out,
    read_side,
    swap_with_validation,
)
from pipelines.train.selection.run_notes import RUN_NOTES_SCHEMA, store_run_notes
from pipelines.train.selection.split import (
    NO_LABEL,
    NUM_FOLDS,
    Indices,
    assign_folds,
    check_classes,
    split,
    split_groups,
    subsample,
)
from pipelines.validate.rules import HELD_OUT, LEAKED
from pipelines.validate.verdicts import Validation

# Raised, with a line of why in CHANGELOG.md, whenever the same inputs give another model.
TRAINING_VERSION: Final = 2

# Reason of the notes that a `train_fraction` below 1 leaves out.
_NOT_SAMPLED: Final = "train_fraction"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """A run before it trains; small, because it travels between tasks.

    Attributes:
      uri: folder of the run.
      train: verdicts on the training notes; those leaked to other data sets count as dropped, as do
        those of held-out instruments.
      valid: verdicts on the notes that choose the epoch, counted in the same way; None where the
        protocol takes them from the training data.
      test: verdicts on the notes that are scored; the same data set as `train` in protocols that
        take no test data.
      backend: of Keras.
      notes_digest: digest of notes.parquet.
      holdout: digest of the held-out set whose notes would train without it; None where none would.
      num_samples: samples per note of all data sets.
    """

    run_id: str
    uri: str
    train: Validation
    valid: Validation | None
    test: Validation
    experiment: Experiment
    backend: str
    notes_digest: str
    holdout: str | None = None
    num_samples: int = NUM_SAMPLES

    @property
    def folds(self) -> Sequence[int | None]:
        """Return the folds of a model's trainings: None for the only one, or numbers from 1."""
        return range(1, NUM_FOLDS + 1) if self.experiment.protocol == "grouped" else (None,)

    @property
    def datasets(self) -> dict[str, Validation]:
        """Return the verdicts by the role of the data set."""
        valid = {} if self.valid is None else {"valid": self.valid}
        return {"train": self.train, **valid, "test": self.test}

    def model_uri(self, model: str, *parts: str) -> str:
        """Return a location in the folder of one of the run's models."""
        return storage.join(self.uri, model, *parts)

    def trainings(self, model: str) -> list["Training"]:
        """Return the trainings of a model, in the order of their folds."""
        return [Training(self, model, fold) for fold in self.folds]


@dataclass(frozen=True)
class Training:
    """One training of a model: the only one, or the one that leaves out a fold."""

    plan: RunPlan
    model: str
    fold: int | None = None

    @property
    def name(self) -> str:
        """Return the folder of the training in its run."""
        return self.model if self.fold is None else f"{self.model}/fold-{self.fold}"

    def uri(self, *parts: str) -> str:
        """Return a location in the folder of the training."""
        return storage.join(self.plan.uri, self.name, *parts)


def plan_run(
    *,
    train: Validation,
    test: Validation | None,
    experiment: Experiment,
    root: str,
    backend: str,
    valid: Validation | None = None,
    holdout_mode: HoldoutMode = "off",
) -> RunPlan:
    """Plan a run and store, under `root`, what each of its notes does in it.

    A held-out set is part of the run's identity only where the run would train on a note of it.

    Args:
      test: None in protocols that score training or validation notes.
      root: location that holds `notes/`, `runs/` and `registry/`.
      valid: notes that choose the epoch, in the protocol `official`.
      holdout_mode: whether notes of the registry's held-out set are kept from training.

    Raises:
      ConfigError: the protocol takes other data sets, two of them are the same, or their notes
        differ in length.
      DatasetError: no notes are left to train on or to test with, or they cannot be split.
    """
    check_datasets(experiment.protocol, valid=valid is not None, test=test is not None)
    given = {"train": train, "valid": valid, "test": test}
    validations = {name: side for name, side in given.items() if side is not None}
    _check_distinct(validations)
    sides = {name: read_side(validation) for name, validation in validations.items()}
    _check_lengths(sides)
    num_leaked = _drop_leaked(sides)
    learning = {name: side for name, side in sides.items() if name != "test"}
    holdout, held_out = find_held_out(learning, experiment=experiment, root=root, mode=holdout_mode)
    identity = {
        "training_version": TRAINING_VERSION,
        **{
            name: [given.manifest_digest, given.verdict_digest]
            for name, given in validations.items()
        },
        "experiment": experiment.identity(),
        "backend": backend,
        **({"gate": holdout.digest} if holdout else {}),
    }
    run_id = digest(identity)[:16]
    uri = storage.join(storage.absolute(root), RUNS_FOLDER, run_id)
    if experiment.keeps_best_epoch:
        for name, rows in held_out.items():
            _drop(sides[name], rows, HELD_OUT)
    for side in sides.values():
        if not side.validation.num_kept:
            raise DatasetError(
                f"no note of {side.validation.manifest_uri} is left: {side.validation.num_seen} "
                f"seen, {side.validation.dropped}"
            )
    manifests = " and ".join(side.manifest_uri for side in validations.values())
    log.info("run %s of %s, in %s", run_id, manifests, uri)
    if num_leaked:
        log.warning(
            "%s dropped: the data that score the models hold the same audio",
            counted(num_leaked, "training note"),
        )
    if holdout:
        num_held_out = sum(map(len, held_out.values()))
        log.info("%d notes of the held-out set %s do not train", num_held_out, holdout.digest[:12])
    notes = pa.concat_tables(_assign_parts(sides, experiment, held_out))
    return RunPlan(
        run_id=run_id,
        uri=uri,
        train=sides["train"].validation,
        valid=sides["valid"].validation if "valid" in sides else None,
        test=sides.get("test", sides["train"]).validation,
        experiment=experiment,
        backend=backend,
        notes_digest=store_run_notes(uri, notes),
        holdout=holdout.digest if holdout else None,
        num_samples=sides["train"].num_samples,
    )


def recorded_plan(run_uri: str) -> RunPlan:
    """Return the plan of a complete run, from its record.

    Raises:
      ConfigError: there is no run, or an older version planned it and did not store its notes.
      DatasetError: the record is of a format that this version does not read, or damaged.
    """
    record = load_run(run_uri)
    if record.notes_digest is None:
        raise ConfigError(
            f"run {record.run_id} is of an older version, which did not store what each note does; "
            "run the same training again"
        )
    return RunPlan(
        run_id=record.run_id,
        uri=run_uri,
        train=record.datasets["train"],
        valid=record.datasets.get("valid"),
        test=record.datasets["test"],
        experiment=record.experiment,
        backend=record.backend,
        notes_digest=record.notes_digest,
        num_samples=record.num_samples,
    )


def find_leaked(side: Side, later: Sequence[Side]) -> Indices:
    """Return the rows of notes, not dropped so far, whose very samples a later data set holds.

    The test data never depend on the training data, so that only the training side changes.
    """
    scored = {digest for other in later for digest in other.notes["audio_digest"].to_pylist()}
    own = zip(side.notes["audio_digest"].to_pylist(), side.reasons, strict=True)
    return np.flatnonzero([reason is None and digest in scored for digest, reason in own])


def _check_distinct(validations: Mapping[str, Validation]) -> None:
    named: dict[str, str] = {}
    for name, side in validations.items():
        other = named.setdefault(side.manifest_digest, name)
        if other != name:
            raise ConfigError(
                f"{side.manifest_uri} is named as {other} and as {name} data; name another one"
            )


def _check_lengths(sides: Mapping[str, Side]) -> None:
    lengths = {name: side.num_samples for name, side in sides.items()}
    if len(set(lengths.values())) > 1:
        got = listed(f"{name} {num:,}" for name, num in lengths.items())
        raise ConfigError(
            f"the data sets of a run must have notes of one length, got samples per note: {got}; "
            "convert all of them with the same --samples"
        )


def _drop_leaked(sides: Mapping[str, Side]) -> int:
    """Drop the notes of each data set that leak into a later one; return how many."""
    names, num = list(sides), 0
    for place, name in enumerate(names):
        rows = find_leaked(sides[name], [sides[other] for other in names[place + 1 :]])
        _drop(sides[name], rows, LEAKED)
        num += len(rows)
    return num


def _drop(side: Side, rows: Indices, reason: str) -> None:
    """Give notes a reason, and count them as dropped in the verdicts of their data set."""
    if not len(rows):
        return
    side.reasons[rows] = reason
    given = side.validation
    kept = Counter(given.families)
    kept.subtract(side.notes["instrument_family_str"].take(pa.array(rows)).to_pylist())
    side.validation = replace(
        given,
        num_kept=given.num_kept - len(rows),
        dropped=given.dropped | {reason: len(rows)},
        families={family: kept[family] for family in FAMILIES if kept[family]},
    )


def _assign_parts(
    sides: Mapping[str, Side], experiment: Experiment, held_out: Mapping[str, Indices]
) -> Iterator[pa.Table]:
    """Yield the rows of notes.parquet."""
    side, seed = sides["train"], experiment.seed
    labels, usable = side.labels, side.usable
    if experiment.protocol == "grouped":
        groups, folds = side.groups, np.zeros(len(labels), np.int64)
        # Notes that validation dropped have a fold too: they are scored as all others are, and a
        # note shares its fold with its copies.
        labelled = labels != NO_LABEL
        folds[labelled] = 1 + assign_folds(labels[labelled], groups[labelled], seed=seed)
        for fold in range(1, NUM_FOLDS + 1):
            rows = usable[folds[usable] != fold]
            train, valid = split_groups(
                labels[rows], groups[rows], fraction=experiment.validation_fraction, seed=seed
            )
            parts = {
                "train": rows[train],
                "valid": rows[valid],
                "test": np.flatnonzero(folds == fold),
            }
            yield _table(side, "train", parts, experiment, fold=fold)
        return
    if "valid" in sides:
        check_classes(labels[usable])
        yield _table(side, "train", {"train": usable}, experiment)
        yield _table(sides["valid"], "valid", {"valid": sides["valid"].usable}, experiment)
    else:
        positions = split(labels[usable], experiment.validation_fraction, seed)
        train, valid = (usable[part] for part in positions)
        rows = held_out.get("train", np.empty(0, np.int64))
        train, valid = swap_with_validation(labels, train, valid, held_out=rows, seed=seed)
        side.reasons[rows] = HELD_OUT
        yield _table(side, "train", {"train": train, "valid": valid}, experiment)
        if experiment.protocol == "validation":
            scored = _table(side, "train", {"test": valid}, experiment)
            yield scored.filter(pc.equal(scored["part"], "test"))
            return
    test = sides["test"]
    yield _table(test, "test", {"test": np.flatnonzero(test.labels != NO_LABEL)}, experiment)


def _table(
    side: Side,
    dataset: str,
    rows: Mapping[str, Indices],
    experiment: Experiment,
    *,
    fold: int | None = None,
) -> pa.Table:
    """Return what the notes of one data set do in one training.

    Args:
      rows: of each part; all other notes are dropped, or held out.
    """
    num, reasons = len(side.labels), side.reasons.copy()
    parts: NDArray[np.object_] = np.full(num, "dropped", object)
    parts[reasons == HELD_OUT] = "holdout"
    for part, own in rows.items():
        parts[own] = part
    if experiment.train_fraction < 1 and "train" in rows:
        train = rows["train"]
        sampled = subsample(side.labels[train], experiment.train_fraction, experiment.seed)
        left = np.delete(train, sampled)
        parts[left], reasons[left] = "dropped", _NOT_SAMPLED
    columns = {
        "dataset": np.full(num, dataset, object),
        "row": np.arange(num),
        **{name: side.notes[name] for name in ("note_str", "instrument_str", "audio_digest")},
        "label": pa.array(side.labels, mask=side.labels == NO_LABEL),
        "part": parts,
        "fold": pa.array([fold] * num, pa.int64()),
        "reason": pa.array(reasons.tolist(), pa.string()),
    }
    return pa.table(columns, schema=RUN_NOTES_SCHEMA)
