"""Audio and instruments that the training notes share with the scored notes."""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from pipelines import storage
from pipelines.errors import PipelineError
from pipelines.report.formats import count, plural
from pipelines.report.results import RunResults
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.validate.rules import LEAKED


@dataclass(frozen=True)
class Overlap:
    """A check of what was trained on against what was scored.

    Attributes:
      num_left_out: training and validation notes that leaked, and so were left out.
      num_shared_audio: notes that trained and whose audio a scored note has, counted again from
        what the run stores; None where it does not store which notes trained.
      num_train_instruments: instruments of the notes that trained; None likewise.
      num_instruments: instruments of the kept notes that are scored.
      num_seen_instruments: those of them that the model which scores them was trained on.
    """

    num_left_out: int
    num_shared_audio: int | None
    num_train_instruments: int | None
    num_instruments: int
    num_seen_instruments: int


def find_overlap(run: RunResults) -> Overlap:
    """The overlap of a run; all its models train on the same notes and score the same."""
    model = run.models[0]
    kept = model.predictions.take(model.predictions.kept)
    scored = set(model.predictions.audio_digest)
    shared_audio, instruments = None, None
    try:
        trained = load_trained_notes(storage.join(run.uri, model.name))
        trained = trained.filter(pc.equal(trained["part"], "train"))
        shared_audio = sum(digest in scored for digest in trained["audio_digest"].to_pylist())
        instruments = len(set(trained["instrument_str"].to_pylist()))
    except PipelineError:
        # Runs by folds do not store it, nor did those of earlier versions.
        pass
    return Overlap(
        num_left_out=sum(of.dropped.get(LEAKED, 0) for of in run.record.datasets.values()),
        num_shared_audio=shared_audio,
        num_train_instruments=instruments,
        num_instruments=len(np.unique(kept.instrument)),
        num_seen_instruments=len(np.unique(kept.instrument[kept.instrument_seen])),
    )


def describe(found: Overlap, protocol: str) -> list[str]:
    """The check in words, a sentence or two each."""
    left_out = (
        "No note is scored by a model that trained on its instrument or on its very audio: the "
        "folds keep both together."
        if protocol == "grouped"
        else f"{plural(found.num_left_out, 'note')} left out of training: the data that score the "
        "models hold the very same audio."
    )
    counted = (
        []
        if found.num_shared_audio is None
        else [
            f"Counted again from what the run stores: {plural(found.num_shared_audio, 'note')} "
            "that trained with the audio of a scored note."
        ]
    )
    trained = (
        ""
        if found.num_train_instruments is None
        else f"{plural(found.num_train_instruments, 'instrument')} trained. "
    )
    scored = (
        f"{trained}The kept scored notes are of {plural(found.num_instruments, 'instrument')}, "
        f"{count(found.num_seen_instruments)} of which were trained on."
    )
    return [left_out, *counted, scored]
