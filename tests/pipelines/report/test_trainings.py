import json
from dataclasses import replace
from pathlib import Path

from pipelines.registry.runs import load_run, store_run
from pipelines.report.results import load_results
from pipelines.report.trainings import course, loss_limits
from tests.pipelines.report.run_folder import write_run


def test_course_says_what_ran(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"tiny": 1.0}))
    found = course(run, run.models[0])
    assert (found.num_epochs, found.stored_epochs) == (4, (10,))
    assert (found.batch_size, found.num_steps, found.num_train) == (32, (7, 7), (2, 2))
    assert found.epoch_sec == (19.5, 19.5, 20.0)
    assert found.devices == ("cpu (tensorflow 2.21.0)",)


def test_course_of_folds_has_the_ends_of_what_differs(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    record = load_run(uri)
    (one,) = record.models["tiny"].trainings
    folds = (one, replace(one, num_steps=9, stored_epoch=3, device="a GPU"))
    models = {"tiny": replace(record.models["tiny"], trainings=folds)}
    store_run(replace(record, models=models), uri)
    run = load_results(uri)
    found = course(run, run.models[0])
    assert (found.stored_epochs, found.num_steps) == ((10, 3), (7, 9))
    assert found.devices == ("cpu (tensorflow 2.21.0)", "a GPU")


def test_loss_limits_hold_the_losses_of_all_models(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    history = tmp_path / "tiny" / "history.json"
    changed = json.loads(history.read_text())
    changed["val_loss"] = [1.0, 7.0, float("inf"), 2.0]
    history.write_text(json.dumps(changed))
    low, high = loss_limits(load_results(uri))
    assert low == 0
    assert 7 < high < 8
