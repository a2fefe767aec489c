"""A stored model that is, was or could be champion: where it is, what it met, how it scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from pipelines import storage
from pipelines.errors import ConfigError, PipelineError
from pipelines.evaluate.predictions import Predictions
from pipelines.layout import relative, resolve
from pipelines.registry.champions import Entry
from pipelines.registry.holdout import Holdout, freeze_holdout
from pipelines.registry.runs import RunRecord, load_run
from pipelines.train.holdout_scores import score_holdout
from pipelines.train.selection.run_notes import load_trained_notes


@dataclass(frozen=True)
class Candidate:
    """A model of a complete run.

    Attributes:
      uri: its folder in its run.
      model_sha256: of its model.keras.
    """

    run: RunRecord
    model: str
    uri: str
    model_sha256: str

    def place(self, root: str) -> str:
        """Where its model.keras is, as seen from the root."""
        return relative(root, storage.join(self.uri, "model.keras"))

    def named(self) -> Mapping[str, str]:
        """What tells it from all others."""
        return {"run_id": self.run.run_id, "model_sha256": self.model_sha256}


def candidate(run_uri: str, model: str) -> Candidate:
    """A model of a run.

    Raises:
      ConfigError: there is no such run, or it has no such model.
    """
    run = load_run(run_uri)
    if model not in run.models:
        raise ConfigError(
            f"run {run.run_id} has {', '.join(run.models)}, not {model}; name one of these"
        )
    # The protocol grouped has several, none of which is a candidate.
    training = run.models[model].trainings[0]
    return Candidate(run, model, storage.join(run_uri, model), training.model_sha256)


def champion_candidate(entry: Entry, root: str) -> Candidate:
    """The model of a champion's entry, which its run may have replaced by now.

    Raises:
      PipelineError: its run is gone.
    """
    uri = storage.parent(resolve(root, entry.model_uri))
    return replace(candidate(storage.parent(uri), entry.model), model_sha256=entry.model_sha256)


def gate_of(of: Candidate, root: str) -> Holdout | None:
    """Makes a run's validation part the gate, where it chose nothing; else there is none."""
    if of.run.experiment.protocol != "reference":
        return None
    met = load_trained_notes(of.uri)
    rows = met.filter(pc.equal(met["part"], "validation"))["row"].to_numpy()
    manifest_uri = of.run.datasets["train"].manifest_uri
    return freeze_holdout(root, manifest_uri, np.asarray(rows), holds_instruments=False)


def why_not_comparable(of: Candidate, gate: Holdout, who: str) -> str | None:
    """Says that a model trained on, or was chosen by, notes of the gate; None where it was not.

    Args:
      who: what the sentence calls the model.
    """
    try:
        met = load_trained_notes(of.uri)
    except PipelineError as err:
        return str(err)
    if not of.run.experiment.keeps_best_epoch:
        # The last epoch is stored: validation has chosen nothing.
        met = met.filter(pc.equal(met["part"], "train"))
    shared = pc.is_in(met["audio_digest"], gate.notes["audio_digest"].combine_chunks())
    if num := pc.sum(shared).as_py() or 0:
        return (
            f"{who} ({of.model} of run {of.run.run_id}) met {num:,} notes in training that the "
            f"gate of {gate.notes.num_rows:,} holds"
        )
    return None


def gate_scores(of: Candidate, gate: Holdout, cache_dir: Path) -> Predictions:
    """What the model makes of the gate's notes.

    Raises:
      PipelineError: it was never scored on them, and is gone or another one by now.
    """
    return score_holdout(
        gate,
        of.uri,
        model_sha256=of.model_sha256,
        batch_size=of.run.experiment.batch_size,
        cache_dir=cache_dir,
    )
