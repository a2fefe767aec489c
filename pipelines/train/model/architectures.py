"""The two architectures of the reference report, as Keras models on any backend.

The layers, their order and the convolutions' activations are the report's, and `layer_table` must
give its tables. It names neither optimiser and loss nor the rates of dropout and LeakyReLU: those
are fields of `Experiment`; `fitting.fit` has Adam and the loss.

Source: A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology), two 1-D CNNs on NSynth.
"""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES, NUM_SAMPLES
from pipelines.train.model.backend import keras

layers: Final[Any] = keras.layers

KERNEL_SIZE: Final = 2


def preliminary(experiment: Experiment, num_samples: int) -> keras.Model:
    """Build two convolutions, averaged over time: 9,098 parameters; the experiment is not used."""
    del experiment
    return keras.Sequential(
        [
            keras.Input((num_samples, 1)),
            layers.Conv1D(64, KERNEL_SIZE, activation="relu"),
            layers.Conv1D(64, KERNEL_SIZE, activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(len(CLASSES), activation="softmax"),
        ],
        name="preliminary",
    )


def optimised(experiment: Experiment, num_samples: int) -> keras.Model:
    """Build three convolutions, pooled, and a dense layer over all: 8,838,158 parameters."""

    def leaky_relu() -> Any:
        # As a convolution's activation it is not a layer, and keeps its slope when saved.
        return layers.LeakyReLU(negative_slope=experiment.negative_slope)

    dense = leaky_relu() if (name := experiment.dense_activation) == "leaky_relu" else name
    return keras.Sequential(
        [
            keras.Input((num_samples, 1)),
            layers.Conv1D(64, KERNEL_SIZE, activation=leaky_relu()),
            layers.Conv1D(32, KERNEL_SIZE, activation=leaky_relu()),
            layers.Conv1D(92, KERNEL_SIZE, activation=leaky_relu()),
            layers.MaxPooling1D(2),
            layers.Dropout(experiment.dropout),
            layers.Flatten(),
            layers.Dense(24, activation=dense),
            layers.Dense(len(CLASSES), activation="softmax"),
        ],
        name="optimised",
    )


MODELS: Final[Mapping[str, Callable[[Experiment, int], keras.Model]]] = MappingProxyType(
    {"preliminary": preliminary, "optimised": optimised}
)


def build(name: str, experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> keras.Model:
    """Return a new, untrained model.

    Args:
      num_samples: samples per note; the parameter counts above are for those of stored notes.

    Returns:
      A model from float32 [batch, num_samples, 1] to float32 [batch, 10], the classes'
      probabilities.

    Raises:
      ConfigError: there is no architecture of that name.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}; expected one of {', '.join(MODELS)}")
    return MODELS[name](experiment, num_samples)


def layer_table(model: keras.Model) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    """Return one row per layer: its type, its output's shape without the batch, its parameters."""
    return tuple(
        (type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in model.layers
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
