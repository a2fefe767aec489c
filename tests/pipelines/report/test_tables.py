from pathlib import Path

from pipelines.report.results import load_results
from pipelines.report.tables import count_rows, family_rows, parameter_rows
from tests.pipelines.report.run_folder import write_run


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
