"""The two architectures of the reference report, as Keras models on any backend.

The layers, their order and the convolutions' activations are the report's, and `layer_table` must
give its tables. It names neither optimiser and loss nor the rates of dropout and LeakyReLU: those
are fields of `Experiment`, and Adam with sparse categorical cross-entropy in `pipelines.train.fit`.

Source: A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology), two 1-D CNNs on NSynth.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pipelines.errors import ConfigError
from pipelines.notes import CLASSES, NUM_SAMPLES
from pipelines.train.backend import keras
from pipelines.train.experiment import Experiment

layers: Final[Any] = keras.layers

KERNEL_SIZE: Final = 2


def preliminary(experiment: Experiment, num_samples: int) -> keras.Model:
    """Two convolutions, averaged over time: 9,098 parameters. Takes nothing from the experiment."""
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
    """Three convolutions, pooled, and a dense layer over all of them: 8,838,158 parameters."""

    def leaky_relu() -> Any:
        # As a convolution's activation it is no layer of the model, and keeps its slope when saved.
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
    """A new, untrained model.

    Args:
      num_samples: of a note; the parameter counts above are those of what notes keep.

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
