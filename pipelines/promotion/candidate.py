"""A stored model that is, was or could be champion: its place, its training notes, its scores."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from pipelines import storage
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError, PipelineError
from pipelines.evaluate.predictions import Predictions
from pipelines.layout import MODEL, relative, resolve
from pipelines.registry.champions import Entry
from pipelines.registry.holdout import Holdout, freeze_holdout
from pipelines.registry.runs import RunRecord, load_run
from pipelines.train.holdout_scores import find_in_run, score_holdout
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

    def relative_uri(self, root: str) -> str:
        """Return the location of its model.keras, relative to the root."""
        return relative(root, storage.join(self.uri, MODEL))

    def identity(self) -> Mapping[str, str]:
        """Return the fields that identify the model in the registry."""
        return {"run_id": self.run.run_id, "model_sha256": self.model_sha256}

    def make_holdout(self, root: str) -> Holdout | None:
        """Make the run's validation notes the holdout; None where they chose something."""
        if self.run.experiment.protocol != "reference":
            return None
        notes = load_trained_notes(self.uri)
        rows = notes.filter(pc.equal(notes["part"], "valid"))["row"].to_numpy()
        manifest_uri = self.run.datasets["train"].manifest_uri
        return freeze_holdout(root, manifest_uri, np.asarray(rows), holds_instruments=False)

    def overlap(self, holdout: Holdout, who: str) -> str | None:
        """Say that the model trained on, or was chosen by, held-out notes; None where it was not.

        Args:
          who: what the sentence calls the model.
        """
        try:
            notes = load_trained_notes(self.uri)
        except PipelineError as err:
            return str(err)
        if not self.run.experiment.keeps_best_epoch:
            # The last epoch is stored: validation has chosen nothing.
            notes = notes.filter(pc.equal(notes["part"], "train"))
        shared = pc.is_in(notes["audio_digest"], holdout.notes["audio_digest"].combine_chunks())
        if num := pc.sum(shared).as_py() or 0:
            return (
                f"{who} ({self.model} of run {self.run.run_id}) met {num:,} "
                f"note{'' if num == 1 else 's'} in training that the gate of "
                f"{holdout.notes.num_rows:,} holds"
            )
        return None

    def missing_notes(self, holdout: Holdout) -> str | None:
        """Say that held-out notes are not stored in the length that the model takes; else None."""
        # Where the data set is gone, scores that are stored may still do.
        if not storage.exists(holdout.manifest_uri):
            return None
        stored, own = open_dataset(holdout.manifest_uri).num_samples, self.run.num_samples
        try:
            if stored == own or find_in_run(holdout, self.run) is not None:
                return None
        except PipelineError as err:
            return str(err)
        return (
            f"its notes keep {own:,} samples and those of the gate {stored:,}, and the data of run "
            f"{self.run.run_id} do not hold all notes of the gate"
        )

    def score(self, holdout: Holdout, cache_dir: Path) -> Predictions:
        """Return the predictions of the model for the held-out notes.

        Raises:
          PipelineError: it was never scored on them, and is gone or another one by now.
        """
        return score_holdout(
            holdout,
            self.uri,
            model_sha256=self.model_sha256,
            batch_size=self.run.experiment.batch_size,
            cache_dir=cache_dir,
        )


def load_candidate(run_uri: str, model: str) -> Candidate:
    """Return a model of a run.

    Raises:
      ConfigError: there is no such run, or it has no such model.
    """
    run = load_run(run_uri)
    if model not in run.models:
        raise ConfigError(
            f"run {run.run_id} has {', '.join(run.models)}, not {model}; name one of these"
        )
    # The protocol grouped has several trainings, none of which is a candidate.
    training = run.models[model].trainings[0]
    return Candidate(run, model, storage.join(run_uri, model), training.model_sha256)


def champion_candidate(entry: Entry, root: str) -> Candidate:
    """Return the model of a champion's entry, which its run may have replaced by now.

    Raises:
      PipelineError: its run is gone.
    """
    uri = storage.parent(resolve(root, entry.model_uri))
    found = load_candidate(storage.parent(uri), entry.model)
    return replace(found, model_sha256=entry.model_sha256)
