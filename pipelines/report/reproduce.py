"""The commands that repeat a run: from its sources, or from the converted data sets.

They name every choice, so that they hold when a default changes.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.convert.shards.plan import RANGE_BYTES
from pipelines.errors import PipelineError
from pipelines.experiment import Experiment
from pipelines.layout import ARCHITECTURE
from pipelines.notes import NUM_SAMPLES
from pipelines.parameters import DEFAULT_MODELS, MAX_DROPPED, MAX_QUARANTINED
from pipelines.promotion.stored import load_promotions
from pipelines.promotion.verdict import damage_shares
from pipelines.report.results import RunResults
from pipelines.train.selection.run_notes import holds_out_notes
from pipelines.validate.verdicts import Validation

# Named where they are not the default.
_RARELY_CHOSEN: Final = (
    "train_fraction",
    "learning_rate",
    "dropout",
    "negative_slope",
    "dense_activation",
)


@dataclass(frozen=True)
class Commands:
    """What to type.

    Attributes:
      from_sources: None where the sources are not known, or one command cannot name them.
      from_datasets: converts nothing.
      notes: further conditions, one sentence each.
    """

    from_sources: str | None
    from_datasets: str
    notes: Sequence[str]


def commands(run: RunResults) -> Commands:
    """Return the commands that repeat a run."""
    record = run.record
    # Where the test data are the training data, they are not named.
    parts = ("train", "valid", "test") if record.experiment.takes_test_data else ("train",)
    datasets = {part: record.datasets[part] for part in parts if part in record.datasets}
    choices = [*_choices(record.experiment, run.uri), *_max_dropped(datasets)]
    train, *others = datasets
    converted = [datasets[train].manifest_uri]
    for part in others:
        converted += [f"--{part}", datasets[part].manifest_uri]
    environment = "" if record.backend == "tensorflow" else f"KERAS_BACKEND={record.backend} "
    from_sources = _from_sources(run, datasets, choices)
    return Commands(
        from_sources=from_sources and environment + from_sources,
        from_datasets=environment + shlex.join(["nsynth", "train", *converted, *choices]),
        notes=_notes(run),
    )


def _from_sources(
    run: RunResults, datasets: Mapping[str, Validation], choices: Sequence[str]
) -> str | None:
    try:
        manifests = {
            part: load_manifest(dataset.manifest_uri) for part, dataset in datasets.items()
        }
    except (PipelineError, FileNotFoundError):
        return None
    if not all(_is_repeatable(manifests[part], datasets[part]) for part in manifests):
        return None
    sources = [
        word
        for part, manifest in manifests.items()
        for word in (f"--{part}", manifest.sources[0].uri)
    ]
    damage = max(_damaged_share(manifest) for manifest in manifests.values())
    limit = _limit("--max-quarantined", damage, MAX_QUARANTINED)
    # Without a promotion the run may stem from one that did not respect a holdout.
    was_judged = bool(load_promotions(run.uri, run.record.models)) or _has_holdout(run)
    promotion = [] if was_judged else ["--no-promote"]
    num_samples = run.record.num_samples
    length = [] if num_samples == NUM_SAMPLES else ["--samples", str(num_samples)]
    return shlex.join(["nsynth", "retrain", *sources, *length, *choices, *limit, *promotion])


def _is_repeatable(manifest: Manifest, dataset: Validation) -> bool:
    """Return whether one source, with the default size of ranges, gives the same data set."""
    return (
        manifest.manifest_digest == dataset.manifest_digest
        # Several files were named by a pattern, which is not stored.
        and len(manifest.sources) == 1
        and manifest.parameters.range_bytes == RANGE_BYTES
    )


def _choices(experiment: Experiment, run_uri: str) -> list[str]:
    root = storage.parent(storage.parent(run_uri))
    words = ["--root", root, "--protocol", experiment.protocol]
    if experiment.models != DEFAULT_MODELS:
        own = {one.name for one in experiment.architectures}
        for model in experiment.models:
            place = storage.join(run_uri, model, ARCHITECTURE) if model in own else model
            words += ["--model", place]
    words += ["--epochs", str(experiment.epochs), "--batch-size", str(experiment.batch_size)]
    if experiment.protocol != "official":
        words += ["--validation-fraction", str(experiment.validation_fraction)]
    default = Experiment(models=experiment.models, architectures=experiment.architectures)
    for name in _RARELY_CHOSEN:
        if (value := getattr(experiment, name)) != getattr(default, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return [*words, "--seed", str(experiment.seed)]


def _max_dropped(datasets: Mapping[str, Validation]) -> list[str]:
    """Allow as many defective notes as the run did, where that is more than by default."""
    shares = [damage_shares(dataset)["defective notes"] for dataset in datasets.values()]
    return _limit("--max-dropped", max(shares), MAX_DROPPED)


def _damaged_share(manifest: Manifest) -> float:
    """Return what a conversion compares with its limit of damage."""
    records = manifest.num_notes + manifest.num_quarantined
    return max(
        manifest.num_quarantined / max(records, 1),
        manifest.skipped_bytes / max(manifest.source_bytes, 1),
    )


def _limit(option: str, share: float, default: float) -> list[str]:
    return [] if share <= default else [option, f"{math.ceil(1000 * share) / 1000:g}"]


def _has_holdout(run: RunResults) -> bool:
    return holds_out_notes(run.uri)


def _notes(run: RunResults) -> list[str]:
    record, notes = run.record, []
    if record.git:
        changed = " with changes that were not committed" if record.git.dirty else ""
        notes.append(f"The code was at commit {record.git.commit}{changed}.")
    if _has_holdout(run):
        notes.append("A gate kept notes out of training, so the same gate has to be in the root.")
    return notes
