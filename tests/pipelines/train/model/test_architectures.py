import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.notes import NUM_SAMPLES
from pipelines.parameters import DEFAULT_MODELS
from pipelines.train.model.architectures import (
    build,
    decode_model,
    encode_model,
    layer_table,
)

# Source: A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology), the layer tables of the
# two 1-D CNNs on NSynth: type, output shape without the batch, parameters.
PRELIMINARY = [
    ["Conv1D", [7999, 64], 192],
    ["Conv1D", [7998, 64], 8256],
    ["GlobalAveragePooling1D", [64], 0],
    ["Dense", [10], 650],
]
OPTIMISED = [
    ["Conv1D", [7999, 64], 192],
    ["Conv1D", [7998, 32], 4128],
    ["Conv1D", [7997, 92], 5980],
    ["MaxPooling1D", [3998, 92], 0],
    ["Dropout", [3998, 92], 0],
    ["Flatten", [367816], 0],
    ["Dense", [24], 8827608],
    ["Dense", [10], 250],
]


@pytest.mark.parametrize(
    ("name", "table", "num_parameters"),
    [("preliminary", PRELIMINARY, 9_098), ("optimised", OPTIMISED, 8_838_158)],
)
def test_build_gives_the_published_layers(
    name: str, table: list[list[object]], num_parameters: int
) -> None:
    model = build(name, Experiment())
    assert [[kind, list(shape), num] for kind, shape, num in layer_table(model)] == table
    assert model.count_params() == num_parameters


def test_build_refuses_an_unknown_name() -> None:
    with pytest.raises(ConfigError, match="no model 'resnet'; expected one of preliminary, opt"):
        build("resnet", Experiment())


def test_optimised_takes_its_rates_from_the_experiment() -> None:
    experiment = Experiment(dropout=0.25, negative_slope=0.125, dense_activation="relu")
    layers = build("optimised", experiment).layers
    assert [layer.activation.negative_slope for layer in layers[:3]] == [0.125] * 3
    assert layers[4].rate == 0.25
    assert layers[6].activation.__name__ == "relu"


@pytest.mark.parametrize("name", DEFAULT_MODELS)
def test_model_file_gives_back_the_same_model(name: str) -> None:
    model = build(name, Experiment(negative_slope=0.125))
    notes = np.random.default_rng(0).normal(size=(2, NUM_SAMPLES, 1)).astype(np.float32)
    again = decode_model(encode_model(model))
    assert layer_table(again) == layer_table(model)
    np.testing.assert_allclose(
        again.predict(notes, verbose=0), model.predict(notes, verbose=0), rtol=1e-6
    )


def test_encode_model_leaves_the_optimiser_out() -> None:
    model = build("preliminary", Experiment())
    bare = len(encode_model(model))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    assert len(encode_model(model)) == bare
