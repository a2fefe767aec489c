import json
from pathlib import Path

import pytest

from pipelines.report.example_notes import Cell, Pick
from pipelines.report.page_values import (
    accuracies,
    caption,
    changes,
    count_rows,
    family_rows,
    loss_limits,
    note_choices,
    parameter_rows,
    summarise_cell,
)
from pipelines.report.results import load_results
from tests.pipelines.promotion.stage import MODEL, Stage, make_stage
from tests.pipelines.report.run_folder import write_run


def test_note_choices_are_three_where_instruments_differ(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    assert [choice for _, choice in note_choices(run)] == ["kept", "seen", "unseen"]
    assert [choice for _, choice, _ in accuracies(run)] == [
        "kept",
        "kept",
        "seen",
        "unseen",
        "every",
    ]


def test_note_choices_name_no_part_that_is_the_whole(tmp_path: Path) -> None:
    # The only kept note is of an instrument that was not trained on.
    run = load_results(write_run(tmp_path, num_notes=3, num_dropped=2))
    assert run.models[0].seen is None or run.models[0].unseen is None
    assert note_choices(run) == [("kept notes", "kept")]
    assert [choice for _, choice, _ in accuracies(run)] == ["kept", "kept", "every"]


def test_count_rows_account_for_every_note_of_each_data_set(tmp_path: Path) -> None:
    rows = dict(count_rows(load_results(write_run(tmp_path)).record.datasets))
    assert rows["dropped: silent"] == [0, 3]
    assert rows["dropped: leaked"] == [1, 0]
    dropped = [values for name, values in rows.items() if name.startswith("dropped: ")]
    for split in (0, 1):
        lost = sum(values[split] for values in dropped)
        assert rows["notes seen"][split] == rows["notes kept"][split] + lost


def test_family_rows_have_every_family_of_any_data_set(tmp_path: Path) -> None:
    datasets = dict(load_results(write_run(tmp_path, families=("reed", "vocal"))).record.datasets)
    assert [name for name, _ in family_rows(datasets)] == ["reed", "vocal"]


def test_parameter_rows_say_each_parameter(tmp_path: Path) -> None:
    rows = dict(parameter_rows(load_results(write_run(tmp_path)).record.experiment))
    assert rows["models"] == "preliminary, optimised"
    assert (rows["epochs"], rows["learning_rate"], rows["seed"]) == ("4", "0.001", "7")


def pick_of(true: float, other: float) -> Pick:
    return Pick(0, "bass_acoustic_001-060-100", true, "guitar", other)


@pytest.mark.parametrize(
    ("rule", "nearest", "words"),
    [
        ("sure", pick_of(0.74, 0.2), "none above 0.9; highest 0.740"),
        ("missed", pick_of(0.23, 0.5), "none below 0.1; lowest 0.230"),
        ("ahead", pick_of(0.6, 0.3), "none; nearest ahead by 0.300"),
        ("ahead", pick_of(0.3, 0.6), "none; nearest behind by 0.300"),
        ("behind", pick_of(0.6, 0.3), "none; nearest ahead by 0.300"),
        ("sure", None, "no kept note of this family"),
    ],
)
def test_summarise_cell_says_what_came_nearest_to_an_empty_cell(
    rule: str, nearest: Pick | None, words: str
) -> None:
    assert summarise_cell(Cell(rule, 0, (), nearest)) == words


def test_summarise_cell_counts_what_qualifies_beyond_what_is_shown() -> None:
    picks = (pick_of(0.95, 0.02), pick_of(0.94, 0.02))
    assert summarise_cell(Cell("sure", 1_234, picks, None)) == "1,234 notes"
    assert summarise_cell(Cell("sure", 1, picks[:1], None)) == "1 note"


def test_caption_names_both_classes() -> None:
    assert caption(pick_of(0.4801, 0.4699), "bass") == "bass 0.480, guitar 0.470"


def test_loss_limits_hold_the_losses_of_all_models(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    history = tmp_path / "tiny" / "history.json"
    changed = json.loads(history.read_text())
    changed["val_loss"] = [1.0, 7.0, float("inf"), 2.0]
    history.write_text(json.dumps(changed))
    low, high = loss_limits(load_results(uri))
    assert low == 0
    assert 7 < high < 8


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
    assert [change.title for change in others] == ["accuracy, mean of instruments", "macro F1"]


def test_changes_are_none_where_nothing_was_compared(stage: Stage) -> None:
    # It trained on notes of the gate.
    refused = stage.promote(stage.run("aa03", trains=range(70)))
    assert refused.outcome == "refused"
    assert changes(refused) == []
