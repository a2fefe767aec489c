"""What the forms of the deployments ask for, and which values the server takes."""

import re
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.schema_tools.validation import ValidationError

from flows.dataset import build_dataset
from flows.retrain import retrain
from pipelines.experiment import Experiment

SCHEMAS = {
    "retrain": parameter_schema(retrain).model_dump(),
    "build-dataset": parameter_schema(build_dataset).model_dump(),
}

PAIR = {"train": "data/train.tfrecord", "test": "s3://bucket/test-*.tfrecord"}


@pytest.mark.parametrize("flow", SCHEMAS)
def test_form_explains_each_parameter(flow: str) -> None:
    for name, field in SCHEMAS[flow]["properties"].items():
        assert len(field.get("description") or "") > 20, name


@pytest.mark.parametrize("flow", SCHEMAS)
def test_form_says_what_a_relative_path_is_relative_to(flow: str) -> None:
    fields = SCHEMAS[flow]["properties"]
    places = {name: field["description"] for name, field in fields.items() if is_place(field)}
    assert places.keys() >= {"root", "engine_settings"}
    for name, said in places.items():
        same = re.search(r"named as for (\w+)", said)
        words = places[same[1]] if same else said
        assert "worker's machine, relative to the checkout there" in " ".join(words.split()), name


def is_place(field: dict[str, Any]) -> bool:
    return any("://" in str(of.get("not")) for of in (field, *field.get("anyOf", ())))


def test_form_asks_for_nothing_but_sources() -> None:
    assert SCHEMAS["retrain"]["required"] == ["train"]
    assert SCHEMAS["build-dataset"]["required"] == ["source"]


def test_form_shows_the_defaults_of_an_experiment() -> None:
    shown = {name: field.get("default") for name, field in SCHEMAS["retrain"]["properties"].items()}
    fields = Experiment().to_dict()
    common = fields.keys() & shown.keys()
    assert len(common) == 10
    # Where nothing is given, an architecture has its own value.
    own = {"learning_rate", "dropout", "negative_slope", "dense_activation"}
    assert {name: shown[name] for name in own} == dict.fromkeys(own)
    rest = common - own
    assert {name: shown[name] for name in rest} == {name: fields[name] for name in rest}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"models": ["optimised"]},
        {"force": ["convert", "train"]},
        {"protocol": "grouped", "test": None, "seeds": [0, 1, 2]},
        {"protocol": "official", "valid": "data/valid.tfrecord"},
        {"root": "s3://bucket/prefix"},
        {"train": "sftp://host/nsynth.tfrecord"},
        {"train": "https://host/nsynth.tfrecord?download=1"},
        {"beam_options": ["parallelism=2", "no_auth=true"]},
        {"max_dropped": 1, "epochs": 1, "validation_fraction": 0.5},
    ],
)
def test_server_takes_what_the_work_can_do(given: dict[str, Any]) -> None:
    validate(PAIR | given, SCHEMAS["retrain"], raise_on_error=True)


@pytest.mark.parametrize(
    "given",
    [
        {"train": ""},
        {"train": None},
        {"root": "s3://key:secret@bucket/prefix"},
        {"test": "https://host/test.tfrecord?X-Amz-Signature=abc"},
        {"train": "https://host/train.tfrecord?sv=2024&SIG=abc"},
        {"valid": "https://host/valid.tfrecord#access_token=abc"},
        {"models": []},
        {"models": ["enormous"]},
        {"models": ["optimised", "optimised"]},
        {"epochs": 0},
        {"epochs": "many"},
        {"epochs": 1.5},
        {"batch_size": -1},
        {"validation_fraction": 0},
        {"validation_fraction": 1},
        {"seeds": []},
        {"seeds": [-1]},
        {"seeds": [2**32]},
        {"seeds": [1, 1]},
        {"protocol": "lenient"},
        {"train_fraction": 0},
        {"train_fraction": 1.5},
        {"runner": "abacus"},
        {"beam_options": ["parallelism"]},
        {"beam_options": ["s3_secret_access_key=abc"]},
        {"beam_options": ["temp_location=gs://me:abc@bucket"]},
        {"beam_options": ["parallelism=2", "parallelism=2"]},
        {"engine_settings": ""},
        {"max_quarantined": 2},
        {"max_dropped": -0.1},
        {"force": ["everything"]},
    ],
)
def test_server_refuses_a_bad_value(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ValidationError, match=name):
        validate(PAIR | given, SCHEMAS["retrain"], raise_on_error=True)
