"""The share of a trained model's units that no note activates."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.train.model.backend import keras

# Notes that show whether a unit is alive.
NUM_NOTES: Final = 64

_LAYERS: Final = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Dense)


def dead_share(model: keras.Model, audio: NDArray[np.float32]) -> float:
    """Return the share of units, but the last layer's, that are above 0 for no note at any time.

    A unit of ReLU that is dead passes nothing on and gets no gradient; one of LeakyReLU still does.

    Args:
      audio: float32 [notes, num_samples]; the first `NUM_NOTES` are looked at.
    """
    outputs: list[Any] = [
        _activated(model, place)
        for place, layer in enumerate(model.layers[:-1])
        if isinstance(layer, _LAYERS)
    ]
    if not outputs:
        return 0.0
    probe = keras.Model(model.inputs[0], outputs)
    samples = audio[:NUM_NOTES, :, np.newaxis]
    alive = [np.zeros(output.shape[-1], bool) for output in outputs]
    # One note at a time: the outputs of a convolution are large.
    for note in samples:
        values = probe(note[np.newaxis], training=False)
        for place, value in enumerate(values if isinstance(values, list) else [values]):
            highest = keras.ops.convert_to_numpy(value).reshape(-1, value.shape[-1]).max(axis=0)
            alive[place] |= highest > 0
    return 1 - float(np.concatenate(alive).mean())


def _activated(model: keras.Model, place: int) -> Any:
    """Return the output of a layer after its activation, which may follow a batch norm."""
    for layer in model.layers[place + 1 :]:
        if isinstance(layer, keras.layers.Activation):
            return layer.output
        if not isinstance(layer, keras.layers.BatchNormalization):
            break
    return model.layers[place].output
