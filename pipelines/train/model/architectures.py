"""Architectures as Keras models on any backend, and models as bytes."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pipelines.architecture import BUILT_IN, Activation, Architecture, Block, Pooling, Spectrogram
from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES, NUM_SAMPLES, NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ
from pipelines.train.model.backend import keras

layers: Final[Any] = keras.layers
ops: Final[Any] = keras.ops

# Added to the mean power of a note, so that silence is not divided by 0.
_SILENCE: Final = 1e-10


def build(name: str, experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> keras.Model:
    """Return a new, untrained model of an experiment.

    Args:
      num_samples: samples per note.

    Returns:
      See `build_architecture`.

    Raises:
      ConfigError: the experiment has no model of that name, or see `build_architecture`.
    """
    if name not in experiment.models and name not in BUILT_IN:
        raise ConfigError(f"there is no model {name!r}; expected one of {', '.join(BUILT_IN)}")
    return build_architecture(experiment.architecture(name), num_samples=num_samples)


def build_architecture(
    architecture: Architecture, *, num_samples: int = NUM_SAMPLES
) -> keras.Model:
    """Return a new, untrained model of layers that Keras itself has, so that anyone can load it.

    Args:
      num_samples: samples per note; the published parameter counts are for 8,000.

    Returns:
      A model from float32 [batch, num_samples, 1] to float32 [batch, 10], the classes'
      probabilities.

    Raises:
      ConfigError: the notes are too short for the layers.
    """
    stack = _stack(architecture)
    name, spectrogram = architecture.name, architecture.spectrogram
    try:
        if spectrogram is None:
            return keras.Sequential([keras.Input((num_samples, 1)), *stack], name=name)
        waveform = keras.Input((num_samples, 1))
        outputs = _spectrogram(spectrogram, waveform, num_samples)
        for layer in stack:
            outputs = layer(outputs)
        return keras.Model(waveform, outputs, name=name)
    except ValueError as err:
        raise ConfigError(
            f"{name} cannot take notes of {num_samples} samples: its layers leave nothing of them; "
            "convert with more --samples, or take smaller pools or fewer blocks"
        ) from err


def _stack(architecture: Architecture) -> list[Any]:
    """Return the layers from the first block to the softmax."""
    return [
        *(layer for block in architecture.blocks for layer in _block(architecture, block)),
        *_head(architecture),
        layers.Dense(len(CLASSES), activation="softmax"),
    ]


def _block(architecture: Architecture, block: Block) -> Iterator[Any]:
    is_2d = architecture.spectrogram is not None
    convolution = layers.Conv2D if is_2d else layers.Conv1D
    pool = layers.MaxPooling2D if is_2d else layers.MaxPooling1D
    activation = _activation(architecture, block.activation)
    padding = "same" if block.batch_norm or block.stride > 1 else "valid"
    if block.batch_norm:
        yield convolution(
            block.filters, block.kernel_size, block.stride, padding=padding, use_bias=False
        )
        yield layers.BatchNormalization()
        yield layers.Activation(activation)
    else:
        # As a convolution's activation it is not a layer, and keeps its slope when saved.
        yield convolution(
            block.filters, block.kernel_size, block.stride, padding=padding, activation=activation
        )
    if block.pool != 1:
        yield pool(block.pool)


def _head(architecture: Architecture) -> Iterator[Any]:
    head, is_2d = architecture.head, architecture.spectrogram is not None
    pooled = {
        Pooling.average: layers.GlobalAveragePooling2D if is_2d else layers.GlobalAveragePooling1D,
        Pooling.maximum: layers.GlobalMaxPooling2D if is_2d else layers.GlobalMaxPooling1D,
    }
    if head.pooling in pooled:
        yield pooled[head.pooling]()
        if head.dropout is not None:
            yield layers.Dropout(head.dropout)
    else:
        if head.pooling is Pooling.time_average:
            yield _time_average
        if head.dropout is not None:
            yield layers.Dropout(head.dropout)
        yield layers.Flatten()
    for units in head.dense:
        yield layers.Dense(units, activation=_activation(architecture, head.dense_activation))


def _time_average(outputs: Any) -> Any:
    """Average over frames: [batch, frames, bands, filters] to [batch, bands, filters].

    An operation, which a saved model keeps; a layer of ours could not be loaded without us.
    """
    return ops.mean(outputs, axis=1)


def _activation(architecture: Architecture, activation: str) -> Any:
    if activation == Activation.leaky_relu:
        return layers.LeakyReLU(negative_slope=architecture.negative_slope)
    return str(activation)


def _spectrogram(spectrogram: Spectrogram, waveform: Any, num_samples: int) -> Any:
    """Return the normalised log spectrogram of waveforms, [batch, frames, bands, 1]."""
    samples = ops.squeeze(waveform, -1)
    power = ops.mean(ops.square(samples), axis=1, keepdims=True)
    samples = samples / ops.sqrt(power + _SILENCE)
    window, hop = spectrogram.window, spectrogram.hop
    if window > num_samples:
        raise ValueError(f"a window of {window} samples is longer than a note")
    if spectrogram.mel_bands is None:
        real, imaginary = ops.stft(samples, window, hop, window, "hann", center=True)
        energy = ops.square(real) + ops.square(imaginary)
    else:
        rate_hz = SAMPLE_RATE_HZ * num_samples / NUM_SOURCE_SAMPLES
        bands = layers.MelSpectrogram(
            fft_length=window,
            sequence_stride=hop,
            sampling_rate=rate_hz,
            num_mel_bins=spectrogram.mel_bands,
            max_freq=rate_hz / 2,
            power_to_db=False,
            mag_exp=2.0,
        )
        # [batch, bands, frames] -> [batch, frames, bands]
        energy = ops.transpose(bands(samples), (0, 2, 1))
    level = ops.expand_dims(ops.log(energy / window + spectrogram.floor), -1)
    return layers.BatchNormalization()(level)


def layer_table(model: keras.Model) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    """Return one row per layer: its type, its output's shape without the batch, its parameters."""
    return tuple(
        (type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)
    )


def encode_model(model: keras.Model) -> bytes:
    """Return the bytes of a `.keras` file without the optimiser's state, two thirds of the file."""
    bare = type(model).from_config(model.get_config())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras's variables do not support the `copy` argument of NumPy 2; all is copied anyway.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        path = Path(folder) / "model.keras"
        bare.set_weights(model.get_weights())
        bare.save(path)
        return path.read_bytes()


def decode_model(data: bytes, *, uri: str = "this model.keras") -> keras.Model:
    """Return the model of `encode_model`, to predict with; it is not compiled.

    Args:
      uri: its location, for an error.

    Raises:
      DatasetError: Keras refuses it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            return keras.models.load_model(path, compile=False)
        except Exception as err:
            why = " ".join(str(err).split())[:200]
            raise DatasetError(
                f"Keras {keras.__version__} refuses {uri} ({why}); train the model again: nsynth "
                "retrain --force train"
            ) from err
