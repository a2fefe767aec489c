from pathlib import Path

import pytest

from pipelines.report.champion import changes
from tests.pipelines.promotion.stage import MODEL, Stage, make_stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder: Path = tmp_path_factory.mktemp("stage")
    return make_stage(str(folder / "root"), folder)


def test_changes_of_the_first_and_of_the_second_model(stage: Stage) -> None:
    first = stage.promote(stage.run("aa01", wrong=range(0, 60, 2)))
    (alone,) = changes(first)
    assert (alone.champion, alone.challenger, alone.difference) == ("\u2013", "0.5000", "\u2013")
    second = stage.promote(stage.run("aa02", wrong=range(3)))
    assert (second.model, second.outcome) == (MODEL, "promoted")
    accuracy, *others = changes(second)
    assert (accuracy.title, accuracy.champion) == ("accuracy", "0.5000")
    assert (accuracy.challenger, accuracy.difference) == ("0.9500", "+0.4500")
    low, high = accuracy.interval.split(" to ")
    assert float(low) < 0.45 < float(high)
    assert [of.title for of in others] == ["accuracy, mean of instruments", "macro F1"]


def test_changes_are_none_where_nothing_was_compared(stage: Stage) -> None:
    # It trained on notes of the gate.
    refused = stage.promote(stage.run("aa03", trains=range(70)))
    assert refused.outcome == "refused"
    assert changes(refused) == []
