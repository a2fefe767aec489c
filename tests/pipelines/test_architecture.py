import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.architecture import (
    BUILT_IN,
    OPTIMISED,
    PRELIMINARY,
    Architecture,
    Block,
    load_architecture,
)
from pipelines.errors import ConfigError
from pipelines.parameters import ModelName


def test_names_that_the_form_offers_are_built_in() -> None:
    assert list(BUILT_IN) == list(ModelName)
    assert [one.name for one in BUILT_IN.values()] == list(BUILT_IN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": {"dropout": 1.0}}, "head.dropout: Input should be less than 1"),
        ({"head": {"pooling": "mean"}}, "head.pooling"),
        ({"head": {"pooling": "time_average"}}, "time_average needs a spectrogram"),
        ({"blocks": []}, "blocks: Tuple should have at least 1 item"),
        ({"width": 3}, "width: Extra inputs are not permitted"),
        ({"fitting": {"weight_decay": 0.1}}, "weight_decay needs the optimiser adamw"),
        ({"fitting": {"learning_rate": float("nan")}}, "fitting.learning_rate"),
        ({"name": "../elsewhere"}, "name: .*is not a name"),
    ],
)
def test_change_refuses_a_value_by_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OPTIMISED.change(**changes)


def test_change_replaces_one_field_of_a_part() -> None:
    changed = OPTIMISED.change(head={"dropout": 0.25})
    assert changed.head.dropout == 0.25
    assert changed.head.dense == OPTIMISED.head.dense
    assert changed.digest != OPTIMISED.digest


@given(st.integers(1, 512), st.integers(1, 9))
def test_digest_follows_from_the_fields(filters: int, kernel_size: int) -> None:
    first, second = (
        Architecture(name="own", blocks=(Block(filters=filters, kernel_size=kernel_size),))
        for _ in range(2)
    )
    assert first.digest == second.digest
    assert first.digest != first.change(name="other").digest
    assert Architecture.model_validate_json(first.model_dump_json()) == first


def test_load_reads_a_file_of_its_own_fields_and_one_with_a_base(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('name = "narrow"\n[[blocks]]\nfilters = 8\n[[blocks]]\nfilters = 4\npool = 2\n')
    assert load_architecture(str(own)) == Architecture(
        name="narrow", blocks=(Block(filters=8), Block(filters=4, pool=2))
    )
    based = tmp_path / "based.toml"
    based.write_text('base = "optimised"\nname = "lighter"\n[head]\ndropout = 0.1\n')
    assert load_architecture(str(based)) == OPTIMISED.change(name="lighter", head={"dropout": 0.1})
    stored = tmp_path / "stored.json"
    stored.write_text(json.dumps(PRELIMINARY.model_dump(mode="json")))
    assert load_architecture(str(stored)) == PRELIMINARY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "cannot read the architecture"),
        ('name = "optimised"\n[[blocks]]\nfilters = 8\n', "built in and differs; choose another"),
        ('base = "resnet"\nname = "x"\n', "expected one of preliminary, optimised"),
        ('name = "x"\nblocks = 3\n', "is not an architecture: blocks"),
    ],
)
def test_load_refuses_a_file_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_architecture(str(path))


def test_load_names_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the architecture"):
        load_architecture(str(tmp_path / "none.toml"))
