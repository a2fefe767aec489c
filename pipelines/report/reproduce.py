"""The commands that repeat a run: from its sources, or from the converted data sets.

They name every choice, so that they hold when a default changes.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from pipelines import storage
from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.convert.manifest import Manifest, load_manifest
from pipelines.convert.plan import RANGE_BYTES
from pipelines.errors import PipelineError
from pipelines.experiment import MODEL_NAMES, Experiment
from pipelines.promotion.stored import load_promotions
from pipelines.report.formats import plain
from pipelines.report.results import RunResults
from pipelines.validate.rules import HELD_OUT, LEAKED
from pipelines.validate.verdicts import MAX_DROPPED, Validation

_NO_DEFECTS: Final = ("synth_lead", LEAKED, HELD_OUT)

_NOT_OFFERED: Final = ("learning_rate", "dropout", "negative_slope", "dense_activation")
"""What an experiment may vary and the command line does not."""


@dataclass(frozen=True)
class Commands:
    """What to type.

    Attributes:
      from_sources: None where that is not known or cannot be said in one command.
      from_datasets: converts nothing.
      notes: what else has to hold, a sentence each.
    """

    from_sources: str | None
    from_datasets: str
    notes: Sequence[str]


def commands(run: RunResults) -> Commands:
    """The commands of a run."""
    record = run.record
    root = storage.parent(storage.parent(run.uri))
    # In the protocol grouped the test data are the training data, and are not named.
    parts = ("train",) if record.experiment.protocol == "grouped" else ("train", "valid", "test")
    datasets = {part: record.datasets[part] for part in parts if part in record.datasets}
    choices = [*_choices(record.experiment, root), *_max_dropped(datasets)]
    train, *others = datasets
    converted = [datasets[train].manifest_uri]
    for part in others:
        converted += [f"--{part}", datasets[part].manifest_uri]
    environment = "" if record.backend == "tensorflow" else f"KERAS_BACKEND={record.backend} "
    return Commands(
        from_sources=_from_sources(run, datasets, choices, environment),
        from_datasets=environment + shlex.join(["nsynth", "train", *converted, *choices]),
        notes=_notes(run),
    )


def _from_sources(
    run: RunResults, datasets: Mapping[str, Validation], choices: Sequence[str], environment: str
) -> str | None:
    try:
        manifests = {part: load_manifest(of.manifest_uri) for part, of in datasets.items()}
    except (PipelineError, FileNotFoundError):
        return None
    for part, manifest in manifests.items():
        is_same = manifest.manifest_digest == datasets[part].manifest_digest
        # Several files were named by a pattern, which nobody stored.
        if not is_same or len(manifest.sources) != 1:
            return None
        if manifest.parameters.range_bytes != RANGE_BYTES:
            return None
    named = [text for part, of in manifests.items() for text in (f"--{part}", of.sources[0].uri)]
    shares = [_share(manifest) for manifest in manifests.values()]
    allowed = _limit("--max-quarantined", max(shares), MAX_QUARANTINED)
    # Without a promotion the run may stem from one that did not respect a gate.
    was_judged = bool(load_promotions(run.uri, run.record.models)) or _has_gate(run)
    promotion = [] if was_judged else ["--no-promote"]
    words = ["nsynth", "retrain", *named, *choices, *allowed, *promotion]
    return environment + shlex.join(words)


def _choices(experiment: Experiment, root: str) -> list[str]:
    chosen = ["--root", root, "--protocol", experiment.protocol]
    if experiment.models != MODEL_NAMES:
        chosen += [word for model in experiment.models for word in ("--model", model)]
    chosen += ["--epochs", str(experiment.epochs), "--batch-size", str(experiment.batch_size)]
    if experiment.protocol != "official":
        chosen += ["--validation-fraction", str(experiment.validation_fraction)]
    if experiment.train_fraction != 1:
        chosen += ["--train-fraction", str(experiment.train_fraction)]
    return [*chosen, "--seed", str(experiment.seed)]


def _max_dropped(datasets: Mapping[str, Validation]) -> list[str]:
    """Allows as many defective notes as the run did, where that is more than usual."""
    defects = [
        sum(num for reason, num in of.dropped.items() if reason not in _NO_DEFECTS) / of.num_seen
        for of in datasets.values()
    ]
    return _limit("--max-dropped", max(defects), MAX_DROPPED)


def _share(manifest: Manifest) -> float:
    """What a conversion holds against its limit of damage."""
    records = manifest.num_notes + manifest.num_quarantined
    return max(
        manifest.num_quarantined / max(records, 1),
        manifest.skipped_bytes / max(manifest.source_bytes, 1),
    )


def _limit(option: str, share: float, usual: float) -> list[str]:
    return [] if share <= usual else [option, f"{math.ceil(1000 * share) / 1000:g}"]


def _has_gate(run: RunResults) -> bool:
    return storage.exists(storage.join(run.uri, "gate.parquet"))


def _notes(run: RunResults) -> list[str]:
    record = run.record
    notes = []
    if record.git:
        changed = " with changes that were not committed" if record.git.dirty else ""
        notes.append(f"The code was at commit {record.git.commit}{changed}.")
    usual = {of.name: of.default for of in fields(Experiment)}
    others = {name: getattr(record.experiment, name) for name in _NOT_OFFERED}
    if varied := [f"{k} {plain(v)}" for k, v in others.items() if v != usual[k]]:
        notes.append(f"The command line does not offer {' and '.join(varied)}; the code does.")
    if _has_gate(run):
        notes.append("A gate kept notes out of training, so the same gate has to be in the root.")
    return notes
