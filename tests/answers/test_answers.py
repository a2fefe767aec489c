"""Every command answers as it did when `record.py` was run last."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.answers.record import machine, record_demo, record_real

RECORDED = Path(__file__).parent


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return record_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if "NSYNTH_REAL" not in os.environ:
        pytest.skip("NSYNTH_REAL names no folder of real notes")
    return record_real(tmp_path_factory.mktemp("real"), Path(os.environ["NSYNTH_REAL"]))


@pytest.mark.parametrize("part", ["keys", "data", "runs"])
def test_commands_answer_the_same_on_the_demo(demo: dict[str, Any], part: str) -> None:
    assert demo[part] == recorded("demo.json")[part]


@pytest.mark.parametrize("part", ["data", "runs"])
def test_main_job_answers_the_same_on_real_notes(real: dict[str, Any], part: str) -> None:
    assert real[part] == recorded("real.json")[part]


@pytest.mark.parametrize("name", ["demo", "real"])
def test_models_have_the_same_weights_and_scores(name: str, request: pytest.FixtureRequest) -> None:
    found, expected = request.getfixturevalue(name), recorded(f"{name}.json")
    if machine() != expected["machine"]:
        pytest.skip("the recorded weights are of another processor or of other libraries")
    assert found["models"] == expected["models"]
