"""Robustness of a run's models: their accuracy on test notes that were changed in a known way.

A change keeps the family of a note as anyone hears it: a later start, another sign, another level,
some noise, or a part of the note alone. Audio is changed as it is stored, and no note is clipped.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.analysis.answers import compare_answers, score_answers
from pipelines.analysis.stored import STRESS_FORMAT, StressPoint, StressSheet, read_stress
from pipelines.decisions import record_decision
from pipelines.errors import ConfigError, FormatError, PipelineError
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.layout import MODEL, PREDICTIONS, STRESS
from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ
from pipelines.progress import OnProgress, Progress, ignore
from pipelines.records import sealed
from pipelines.train.artifacts import stored_model
from pipelines.train.fitting.fit import predict
from pipelines.train.model.architectures import decode_model
from pipelines.train.samples.batches import Notes
from pipelines.train.selection.notes import scorable_notes, scored_samples
from pipelines.train.selection.run_plan import RunPlan

# Raised whenever the same model would get other figures.
STRESS_VERSION: Final = 1

# Of the noise of each note, beside the note's row.
SEED: Final = 0

NOTE_SEC: Final = NUM_SOURCE_SAMPLES / SAMPLE_RATE_HZ

# NSynth holds each key for three seconds of four. What the attack of a note takes differs; half a
# second holds it and little more.
PARTS_SEC: Final[Mapping[str, tuple[float, float]]] = {
    "attack": (0.0, 0.5),
    "sustain": (0.5, 3.0),
    "release": (3.0, 4.0),
}

_NOTES_AT_ONCE: Final = 1_024

Audio = NDArray[np.float32]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """One change of notes.

    Attributes:
      kind: delay, polarity, gain, noise or part.
      value: milliseconds of delay, decibels of gain or of signal to noise; of a part None, as of
        polarity.
      part: a name of `PARTS_SEC`.
    """

    kind: str
    value: float | None = None
    part: str = ""

    @property
    def name(self) -> str:
        """Return the change in words."""
        unit = {"delay": " ms", "gain": " dB", "noise": " dB"}.get(self.kind, "")
        value = "" if self.value is None else f" {self.value:g}{unit}"
        return f"{self.part} only" if self.part else f"{self.kind}{value}"


CHANGES: Final = (
    *(Change("delay", value) for value in (0.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)),
    Change("polarity"),
    *(Change("gain", value) for value in (-30.0, -20.0, -10.0, 10.0)),
    *(Change("noise", value) for value in (40.0, 30.0, 20.0, 10.0, 0.0)),
    *(Change("part", part=part) for part in PARTS_SEC),
)


def stress_run(
    plan: RunPlan,
    models: Sequence[str] = (),
    *,
    cache_dir: Path,
    force: bool = False,
    on_progress: OnProgress = ignore,
) -> dict[str, StressSheet]:
    """Return the robustness sheet of each model of a run, and store it; reuse stored ones.

    Args:
      models: some of the run's; all by default.
      cache_dir: local folder for the samples.
      force: measure again even if a sheet is stored.

    Raises:
      ConfigError: the run has no such model, or a model or a data set of it is gone.
      DatasetError: a data set is another one by now.
    """
    known = plan.experiment.models
    for name in models:
        if name not in known:
            raise ConfigError(f"run {plan.run_id} has no model {name!r}; it has {', '.join(known)}")
    return {
        name: _stress_model(plan, name, cache_dir=cache_dir, force=force, on_progress=on_progress)
        for name in models or known
    }


def change_audio(audio: Audio, change: Change, *, rows: NDArray[np.int64]) -> Audio:
    """Return changed notes; the originals stay as they are.

    Args:
      audio: float32 [num_notes, num_samples], of `NOTE_SEC` each.
      rows: int64 [num_notes], which seed the noise of each note.

    Returns:
      float32 [num_notes, num_samples].
    """
    rate_hz = audio.shape[1] / NOTE_SEC
    value = change.value or 0.0
    if change.kind == "polarity":
        return np.negative(audio)
    if change.kind == "gain":
        return np.multiply(audio, np.float32(10 ** (value / 20)))
    if change.kind == "noise":
        return np.add(audio, _noise(audio, rows, signal_to_noise_db=value))
    changed: Audio = np.zeros_like(audio)
    if change.kind == "delay":
        shift = round(value / 1_000 * rate_hz)
        changed[:, shift:] = audio[:, : audio.shape[1] - shift]
        return changed
    begin, end = (round(second * rate_hz) for second in PARTS_SEC[change.part])
    changed[:, begin:end] = audio[:, begin:end]
    return changed


def _noise(audio: Audio, rows: NDArray[np.int64], *, signal_to_noise_db: float) -> Audio:
    """Return white noise, the same for a row wherever it is, as loud as its note asks for."""
    noise = np.stack(
        [
            np.random.default_rng([SEED, row]).standard_normal(audio.shape[1], np.float32)
            for row in rows.tolist()
        ]
    )
    level = np.sqrt(np.mean(audio**2, axis=1, keepdims=True))
    scale = np.asarray(level * 10 ** (-signal_to_noise_db / 20), np.float32)
    scaled: Audio = np.multiply(noise, scale)
    return scaled


def _stress_model(
    plan: RunPlan, name: str, *, cache_dir: Path, force: bool, on_progress: OnProgress
) -> StressSheet:
    uri = plan.model_uri(name, STRESS)
    files = _model_files(plan, name)
    identity = [
        *(str(STRESS_VERSION), plan.notes_digest),
        *(hashlib.sha256(data).hexdigest() for data in files.values()),
    ]
    if not force and (stored := _stored(plan, name, identity)) is not None:
        why = f"{uri} has the sheet of this {name}"
        record_decision(log, "stress", name, "reused", why)
        return stored
    why = f"changing the test notes of {name} in run {plan.run_id} in {len(CHANGES)} ways"
    record_decision(log, "stress", name, "ran", why)
    predictions = load_predictions(plan.model_uri(name, PREDICTIONS))
    kept = predictions.take(predictions.kept)
    correct = _answers(plan, name, files, kept, cache_dir=cache_dir, on_progress=on_progress)
    sheet = _sheet(name, identity, kept, correct)
    storage.put(uri, sealed(asdict(sheet), format_version=STRESS_FORMAT))
    return sheet


def _model_files(plan: RunPlan, name: str) -> dict[int | None, bytes]:
    """Return the bytes of the model of each fold."""
    files: dict[int | None, bytes] = {}
    for training in plan.trainings(name):
        data = stored_model(training)
        if data is None:
            raise ConfigError(f"{training.uri()} holds no trained model; train it again")
        files[training.fold] = data
    return files


def _answers(
    plan: RunPlan,
    name: str,
    files: Mapping[int | None, bytes],
    kept: Predictions,
    *,
    cache_dir: Path,
    on_progress: OnProgress,
) -> dict[Change, NDArray[np.bool_]]:
    """Return which answers to the changed notes are right, bool [num_notes] for each change."""
    audio, folds = scored_samples(plan, cache_dir), _folds(plan, kept)
    correct = {change: np.zeros(len(kept), bool) for change in CHANGES}
    done = 0
    for fold, data in files.items():
        model = decode_model(data, uri=plan.model_uri(name, MODEL))
        own = np.flatnonzero(folds == (fold or 0))
        for begin in range(0, len(own), _NOTES_AT_ONCE):
            part = own[begin : begin + _NOTES_AT_ONCE]
            rows, labels = kept.row[part], kept.label[part]
            samples = audio[rows]
            for change in CHANGES:
                changed = change_audio(samples, change, rows=rows)
                notes = Notes(changed, np.arange(len(rows)), labels)
                answers = predict(model, notes, batch_size=plan.experiment.batch_size)
                correct[change][part] = answers.argmax(axis=1) == labels
                done += len(rows)
                total = len(kept) * len(CHANGES)
                on_progress(Progress(f"stress {name}", done, total, change.name))
    return correct


def _folds(plan: RunPlan, kept: Predictions) -> NDArray[np.int64]:
    """Return the fold of each note, 0 where the run has none, int64 [num_notes]."""
    notes = scorable_notes(plan)
    folds = {
        row: fold or 0
        for row, fold in zip(notes["row"].to_pylist(), notes["fold"].to_pylist(), strict=True)
    }
    return np.array([folds[row] for row in kept.row.tolist()], np.int64)


def _sheet(
    name: str,
    identity: Sequence[str],
    kept: Predictions,
    correct: Mapping[Change, NDArray[np.bool_]],
) -> StressSheet:
    """Return the figures of each change beside those of the notes as they are."""
    instrument, before = kept.instrument, kept.correct
    points = []
    for change, right in correct.items():
        score = score_answers(change.name, right, instrument)
        gain = compare_answers("notes as they are", change.name, before, right, instrument)
        points.append(
            StressPoint(
                kind=change.kind,
                name=change.name,
                value=change.value,
                accuracy=score.accuracy,
                interval=score.interval,
                difference=gain.difference,
                difference_interval=gain.interval,
            )
        )
    unchanged = score_answers("notes as they are", before, instrument)
    return StressSheet(
        model=name,
        of=tuple(identity),
        seed=SEED,
        num_notes=len(kept),
        num_instruments=unchanged.num_instruments,
        accuracy=unchanged.accuracy,
        interval=unchanged.interval,
        points=tuple(points),
    )


def _stored(plan: RunPlan, name: str, identity: Sequence[str]) -> StressSheet | None:
    """Return the stored sheet; None unless it is intact and of this model and version."""
    if not storage.exists(plan.model_uri(name, STRESS)):
        return None
    try:
        sheet = read_stress(plan.model_uri(name))
    except FormatError:
        raise
    except PipelineError as err:
        log.warning("measuring again: %s", err)
        return None
    return sheet if list(sheet.of) == list(identity) else None
