"""Trained models that classify recordings, without Prefect and Beam.

from pipelines.predict.classifier import load_classifier

classifier = load_classifier("data", model="optimised")
print(classifier.classify_file("note.wav").family)
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.errors import ConfigError, DatasetError
from pipelines.layout import MODEL, resolve
from pipelines.notes import CLASSES
from pipelines.predict.sound import Sound, make_sound, read_sound, to_notes
from pipelines.records import check_name
from pipelines.registry.champions import champion, champions
from pipelines.registry.inventory import find_run
from pipelines.registry.runs import load_run
from pipelines.train.model.architectures import decode_model


@dataclass(frozen=True)
class Prediction:
    """The families of one sound.

    Attributes:
      probabilities: by family, in the order of the classes.
      done: what was done to the sound so that the model could take it, in words; may be empty.
    """

    probabilities: Mapping[str, float]
    done: str = ""

    @property
    def family(self) -> str:
        """Return the most probable family."""
        return self._ordered()[0]

    @property
    def second(self) -> str:
        """Return the second guess."""
        return self._ordered()[1]

    def _ordered(self) -> list[str]:
        return sorted(self.probabilities, key=lambda name: -self.probabilities[name])


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model.

    Attributes:
      name: of the model, with its run.
      model: of Keras, from float32 [batch, num_samples, 1] to float32 [batch, 10].
    """

    name: str
    model: Any

    def classify(self, samples: NDArray[np.floating], rate_hz: int) -> Prediction:
        """Classify an array.

        Args:
          samples: float [num_samples] or [num_samples, channels], in [-1, 1].
          rate_hz: samples per second.

        Raises:
          DatasetError: it holds no sample or one that is not finite.
        """
        return self._classify(make_sound(samples, rate_hz))

    def classify_file(self, uri: str) -> Prediction:
        """Classify a sound file, by its path or URI.

        Raises:
          DatasetError: it cannot be decoded, or holds no sample or one that is not finite.
          OSError: it cannot be read.
        """
        return self._classify(read_sound(uri))

    def _classify(self, sound: Sound) -> Prediction:
        notes, done = to_notes(sound)
        # As in the conversion that the model was trained on.
        audio = resample(notes, num_samples=self.model.input_shape[1])
        probabilities = np.asarray(self.model.predict(audio[:, :, np.newaxis], verbose=0))
        mean = probabilities.mean(axis=0)
        return Prediction(dict(zip(CLASSES, map(float, mean), strict=True)), done)


def load_classifier(root: str, *, model: str | None = None, run: str | None = None) -> Classifier:
    """Load a champion, or a model of a run.

    Args:
      root: location that holds `runs/` and `registry/`.
      model: its name; not needed where there is only one.
      run: a run_id, the beginning of one, or its URI; the champion by default.

    Raises:
      ConfigError: there is no such champion, run or model, or several and none is named.
      DatasetError: the stored model is damaged.
    """
    if model is not None:
        try:
            check_name(model)
        except ValueError as err:
            raise ConfigError(str(err)) from err
    return _champion(root, model) if run is None else _of_run(find_run(root, run), model)


def _champion(root: str, model: str | None) -> Classifier:
    present, _ = champions(root)
    name = _only(model, list(present), what=f"champion under {root}")
    entry = champion(root, name)
    if entry is None:
        raise ConfigError(
            f"there is no champion of {name} under {root}; train one with nsynth retrain, or name "
            "a run with --run"
        )
    uri = resolve(root, entry.model_uri)
    return Classifier(f"{name} of run {entry.run_id}", _load(uri, entry.model_sha256))


def _of_run(run_uri: str, model: str | None) -> Classifier:
    record = load_run(run_uri)
    name = _only(model, list(record.models), what=f"model in run {record.run_id}")
    if name not in record.models:
        raise ConfigError(
            f"run {record.run_id} has {', '.join(record.models)}, not {name}; name one of these"
        )
    (training, *folds) = record.models[name].trainings
    if folds:
        raise ConfigError(
            f"run {record.run_id} has a model for each fold, which measure only; name a run of "
            "another protocol"
        )
    uri = storage.join(run_uri, name, MODEL)
    return Classifier(f"{name} of run {record.run_id}", _load(uri, training.model_sha256))


def _only(model: str | None, names: list[str], *, what: str) -> str:
    if model is not None:
        return model
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(
            f"there is no {what}; train one with nsynth retrain, or name a run with --run"
        )
    raise ConfigError(f"there is more than one {what}: {', '.join(names)}; name one with --model")


def _load(uri: str, digest: str) -> Any:
    data = storage.read(uri)
    if hashlib.sha256(data).hexdigest() != digest:
        raise DatasetError(f"{uri} is damaged or was changed; train it again: nsynth retrain")
    return decode_model(data, uri=uri)
