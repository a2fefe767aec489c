"""The loss and the optimiser of an architecture."""

import math
from typing import Any, Final

from pipelines.architecture import Architecture, Fitting
from pipelines.train.model.backend import jit_compile, keras

# Of the steps, those in which the rate of `cosine` rises; its rates at both ends, as shares.
_RISING: Final = 0.1
_FIRST: Final = 0.05
_LAST: Final = 0.01


def compile_model(model: keras.Model, architecture: Architecture, *, num_steps: int) -> None:
    """Give a model its loss and its optimiser.

    Args:
      num_steps: of the whole training; a schedule ends there.
    """
    fitting = architecture.fitting
    loss: Any = "sparse_categorical_crossentropy"
    if fitting.needs_probabilities:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=fitting.label_smoothing)
    model.compile(
        optimizer=_optimiser(fitting, num_steps),
        loss=loss,
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )


def _optimiser(fitting: Fitting, num_steps: int) -> Any:
    rate: Any = fitting.learning_rate
    if fitting.schedule == "cosine":
        rising = math.ceil(_RISING * num_steps)
        rate = keras.optimizers.schedules.CosineDecay(
            _FIRST * fitting.learning_rate,
            max(num_steps - rising, 1),
            warmup_target=fitting.learning_rate,
            warmup_steps=rising,
            # The last rate is a share of the highest.
            alpha=_LAST,
        )
    if fitting.optimiser == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=fitting.weight_decay)
    return keras.optimizers.Adam(rate)
