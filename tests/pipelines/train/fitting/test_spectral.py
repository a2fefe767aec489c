"""A model on a spectrogram trains, resumes and is stored like the others."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.architecture import SPECTRAL, Augmentation
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.train.fitting.callbacks import OnEpoch
from pipelines.train.fitting.checkpoints import Checkpoints, digest_arrays, read_weights
from pipelines.train.fitting.fit import Trained, fit
from pipelines.train.model.architectures import (
    build,
    build_architecture,
    decode_model,
    encode_model,
)
from pipelines.train.model.backend import keras
from pipelines.train.samples.batches import Notes

NUM_SAMPLES = 600
AUGMENTED = SPECTRAL.change(
    name="small",
    spectrogram={"window": 64, "hop": 16},
    blocks=[{"filters": 4, "kernel_size": 3, "pool": 2, "batch_norm": True}],
    fitting={"augmentation": Augmentation(delay=0.1, tilt_db=3, mixup=0.2).model_dump(mode="json")},
)
EXPERIMENT = Experiment(models=("small",), architectures=(AUGMENTED,), epochs=3, batch_size=4)


class Stop(Exception):  # noqa: N818 - no error
    pass


def stop_after(epoch: int) -> OnEpoch:
    def on_epoch(model: str, done: int, epochs: int, logs: object) -> None:
        if done == epoch:
            raise Stop

    return on_epoch


@pytest.fixture(scope="module")
def notes() -> Notes:
    random = np.random.default_rng(0)
    audio = random.normal(size=(10, NUM_SAMPLES)).astype(np.float32)
    return Notes(audio, np.arange(10), np.arange(10) % 3)


@pytest.fixture(scope="module")
def whole(notes: Notes) -> Trained:
    return fit("small", EXPERIMENT, notes, notes)


def test_resumed_training_augments_as_if_it_had_never_stopped(
    notes: Notes, whole: Trained, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(str(tmp_path), "small")
    with pytest.raises(Stop):
        fit("small", EXPERIMENT, notes, notes, checkpoints=checkpoints, on_epoch=stop_after(3))
    again = fit("small", EXPERIMENT, notes, notes, checkpoints=checkpoints)
    assert again.resumed_after == 2
    assert digest_arrays(read_weights(again.model)) == digest_arrays(read_weights(whole.model))


def test_augmentation_changes_what_is_learned(notes: Notes, whole: Trained) -> None:
    plain = AUGMENTED.change(fitting={"augmentation": Augmentation().model_dump(mode="json")})
    experiment = Experiment(models=("small",), architectures=(plain,), epochs=3, batch_size=4)
    other = fit("small", experiment, notes, notes)
    assert digest_arrays(read_weights(other.model)) != digest_arrays(read_weights(whole.model))


def test_stored_model_needs_no_code_of_ours(notes: Notes, whole: Trained) -> None:
    model = decode_model(encode_model(whole.model))
    audio = notes.audio[:, :, np.newaxis]
    np.testing.assert_allclose(
        model.predict(audio, verbose=0), whole.model.predict(audio, verbose=0), rtol=1e-5
    )
    modules = {type(layer).__module__.partition(".")[0] for layer in model.layers}
    assert modules == {"keras"}


def test_level_does_not_matter(notes: Notes, whole: Trained) -> None:
    audio = notes.audio[:, :, np.newaxis]
    np.testing.assert_allclose(
        whole.model.predict(0.01 * audio, verbose=0),
        whole.model.predict(audio, verbose=0),
        atol=1e-4,
    )


def test_silence_has_finite_probabilities(whole: Trained) -> None:
    silent = np.zeros((1, NUM_SAMPLES, 1), np.float32)
    assert np.isfinite(whole.model.predict(silent, verbose=0)).all()


@pytest.mark.parametrize(("name", "num_samples"), [("spectral", 8_000), ("spectral-full", 64_000)])
def test_built_in_models_have_few_parameters(name: str, num_samples: int) -> None:
    model = build(name, Experiment(models=(name,)), num_samples=num_samples)
    assert model.count_params() <= 150_000
    assert model.input_shape == (None, num_samples, 1)


def test_notes_that_are_too_short_are_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="spectral cannot take notes of 200 samples"):
        build_architecture(SPECTRAL, num_samples=200)


def test_learning_rate_falls_along_a_cosine(notes: Notes, whole: Trained) -> None:
    optimizer = whole.model.optimizer
    assert isinstance(optimizer, keras.optimizers.AdamW)
    # Three epochs of three steps end at a hundredth of the highest rate.
    assert int(optimizer.iterations) == 9
    assert float(optimizer.learning_rate) == pytest.approx(2e-5, rel=0.01)
