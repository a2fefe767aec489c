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
class Leakage:
    """Counts of what training and scored notes share.

    Attributes:
      num_dropped: training and validation notes that leaked, and so were dropped.
      num_shared_audio: notes that trained and whose audio a scored note has, counted again from
        what the run stores; None where it does not store which notes trained.
      num_train_instruments: instruments of the notes that trained; None as above.
      num_instruments: instruments of the kept notes that are scored.
      num_seen_instruments: instruments among these that the model was trained on.
    """

    num_dropped: int
    num_shared_audio: int | None
    num_train_instruments: int | None
    num_instruments: int
    num_seen_instruments: int


def find_leakage(run: RunResults) -> Leakage:
    """Count for the first model; all models of a run train on and score the same notes."""
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
    return Leakage(
        num_dropped=sum(side.dropped.get(LEAKED, 0) for side in run.record.datasets.values()),
        num_shared_audio=shared_audio,
        num_train_instruments=instruments,
        num_instruments=len(np.unique(kept.instrument)),
        num_seen_instruments=len(np.unique(kept.instrument[kept.instrument_seen])),
    )


def describe(leakage: Leakage, protocol: str) -> list[str]:
    """Put the counts in words, a sentence or two each."""
    sentences = [
        "No note is scored by a model that trained on its instrument or on the same audio: the "
        "folds keep both together."
        if protocol == "grouped"
        else "No note is scored that trained: both are parts of one data set, without copies."
        if protocol == "validation"
        else f"{plural(leakage.num_dropped, 'note')} left out of training, because scored notes "
        "have the same audio."
    ]
    if leakage.num_shared_audio is not None:
        shared = plural(leakage.num_shared_audio, "note")
        sentences.append(
            f"A second count, from the stored tables: {shared} trained with the audio of a scored "
            "note."
        )
    trained = (
        ""
        if leakage.num_train_instruments is None
        else f"The models trained on {plural(leakage.num_train_instruments, 'instrument')}. "
    )
    scored = plural(leakage.num_instruments, "instrument")
    verb = "was" if leakage.num_seen_instruments == 1 else "were"
    return [
        *sentences,
        f"{trained}The kept scored notes are of {scored}, {count(leakage.num_seen_instruments)} of "
        f"which {verb} trained on.",
    ]
