"""All that a model's training depends on, read from Keras and put back: its variables' values.

A `.keras` file leaves out the state of Dropout's seed generator, and the optimiser's build order is
Keras's own affair; the variables themselves, in the order in which Keras lists them, are all of it.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.train.backend import keras
from pipelines.train.checkpoint import Arrays, digest_of


def values(model: keras.Model) -> Arrays:
    """Copies of all variables of a compiled model and its optimiser, seed generators included."""
    return tuple(_copy(variable) for variable in _variables(model))


def weights(model: keras.Model) -> Arrays:
    """Copies of a model's weights, in the order of `keras.Model.get_weights`."""
    return tuple(_copy(variable) for variable in model.weights)


def assign(model: keras.Model, given: Sequence[NDArray[Any]]) -> None:
    """Gives all variables of a compiled model and its optimiser the values that `values` read."""
    for variable, value in zip(_variables(model), given, strict=True):
        variable.assign(value)


def shapes(model: keras.Model) -> str:
    """What tells in words whether values fit the variables; another Keras may order them anew."""
    kinds = [f"{variable.dtype} {tuple(variable.shape)}" for variable in _variables(model)]
    digest = digest_of([np.array(kinds)])[:8]
    return f"{len(kinds)} variables {digest} of keras {version('keras')}"


def _variables(model: keras.Model) -> list[Any]:
    # An optimiser has its slots from the first step on, unless it is built before.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _copy(variable: Any) -> NDArray[Any]:
    # Without the copy, some backends give a view of memory that the next step writes to.
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.copy(variable)))
