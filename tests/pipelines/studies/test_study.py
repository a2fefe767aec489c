from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.architecture import OPTIMISED, PRELIMINARY
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.studies.study import STUDIES, Study, Trial, make_study
from pipelines.train.model.architectures import build_architecture

EXPERIMENT = Experiment(models=("optimised",), protocol="validation", epochs=3)


def test_ladder_leads_from_the_preliminary_to_the_optimised_model_one_change_at_a_time() -> None:
    study = make_study("ladder", EXPERIMENT)
    values = [trial.experiment.architecture(trial.model) for trial in study.trials]
    assert values[0] == PRELIMINARY
    assert values[-1] == OPTIMISED
    counts = [build_architecture(value).count_params() for value in values]
    assert counts == [9_098, 9_098, 4_650, 11_230, 11_230, 8_838_158, 8_838_158]
    assert [trial.base for trial in study.trials[1:]] == [t.name for t in study.trials[:-1]]
    for before, after in pairwise(values):
        assert before.digest != after.digest


def test_leave_one_out_changes_the_optimised_model_in_one_part_each() -> None:
    study = make_study("leave-one-out", EXPERIMENT)
    first, *others = study.trials
    assert first.experiment.architecture(first.model) == OPTIMISED
    for trial in others:
        value = trial.experiment.architecture(trial.model)
        assert value.change(name="optimised") != OPTIMISED
        assert trial.base == "optimised"
        assert build_architecture(value).count_params() > 0


def test_batch_sizes_keep_the_epochs_or_the_updates() -> None:
    study = make_study("batch-size", EXPERIMENT)
    settings = {
        trial.name: (trial.experiment.batch_size, trial.experiment.epochs) for trial in study.trials
    }
    assert settings["optimised-32"] == (32, 3)
    assert settings["optimised-128-same-epochs"] == (128, 3)
    assert settings["optimised-128-same-updates"] == (128, 12)
    assert settings["optimised-8-same-updates"] == (8, 1)


def test_samples_grow_up_to_those_that_are_given() -> None:
    study = make_study("samples", EXPERIMENT, num_samples=4_000)
    assert [trial.num_samples for trial in study.trials] == [1_000, 2_000, 4_000]


@pytest.mark.parametrize("name", STUDIES)
def test_no_study_takes_test_notes(name: str) -> None:
    with pytest.raises(ConfigError, match="would choose by test notes; use validation or grouped"):
        make_study(name, Experiment(models=("optimised",)))


def test_a_file_lists_what_changes(tmp_path: Path) -> None:
    path = tmp_path / "kernels.toml"
    path.write_text(
        'base = "preliminary"\nquestion = "Are wider kernels better?"\n'
        '[[trials]]\nname = "slow"\nchange = "a smaller step"\n'
        "fitting.learning_rate = 0.0001\nexperiment.epochs = 5\n"
        '[[trials]]\nname = "smooth"\nfitting.label_smoothing = 0.1\n'
    )
    study = make_study(str(path), EXPERIMENT)
    assert [trial.name for trial in study.trials] == ["preliminary", "slow", "smooth"]
    slow = study.trials[1].experiment
    assert (slow.epochs, slow.architecture("slow").fitting.learning_rate) == (5, 0.0001)
    assert study.trials[2].experiment.architecture("smooth").fitting.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base = 3", "is not a study"),
        ('base = "preliminary"', "is not a study: 'trials'"),
        ('[[trials]]\nname = "x"\nwidth = 3', "width: Extra inputs are not permitted"),
        ('[[trials]]\nname = "optimised"', "trials of different names"),
        ("trials = ", "cannot read the study"),
    ],
)
def test_a_file_that_is_no_study_is_refused_in_a_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        make_study(str(path), EXPERIMENT)


def test_unknown_study_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(ConfigError, match="expected one of ladder, leave-one-out"):
        make_study("lader", EXPERIMENT)


def test_a_base_comes_before_its_trial() -> None:
    with pytest.raises(ConfigError, match="must come after its base"):
        Study("own", "", (Trial("first", EXPERIMENT, base="second"), Trial("second", EXPERIMENT)))
