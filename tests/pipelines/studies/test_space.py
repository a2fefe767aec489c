from pathlib import Path

import pytest

from pipelines.architecture import SPECTRAL
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.studies.space import (
    DEFAULT_SPACE,
    FULL_BAND_SPACE,
    Range,
    Space,
    check_search,
    find_space,
)
from pipelines.train.model.architectures import build_architecture

EXPERIMENT = Experiment(models=("optimised",), protocol="validation", epochs=3)
OWN = """
base = "preliminary"
name = "steps"
[search]
num_blocks = {low = 1, high = 3}
blocks.kernel_size = [2, 3]
"fitting.learning_rate" = {low = 0.0001, high = 0.01, log = true}
experiment.batch_size = [16, 32]
"""


@pytest.mark.parametrize(
    ("space", "num_samples"), [(DEFAULT_SPACE, 8_000), (FULL_BAND_SPACE, 64_000)]
)
def test_most_blocks_can_be_built_on_the_fewest_frames(space: Space, num_samples: int) -> None:
    space.check(EXPERIMENT)
    values = {"num_blocks": 5, "blocks.kernel_size": 5}
    for name, choose in (("spectrogram.window", min), ("spectrogram.hop", max)):
        choices = space.dimensions[name]
        assert isinstance(choices, tuple)
        values[name] = choose(map(int, choices))
    trial = space.trial(values, EXPERIMENT, num_samples=num_samples)
    architecture = trial.experiment.architecture(trial.model)
    assert build_architecture(architecture, num_samples=num_samples).count_params() > 0


def test_base_is_a_trial_of_its_own_space_and_keeps_its_name() -> None:
    values = DEFAULT_SPACE.base_values(EXPERIMENT)
    assert values is not None
    trial = DEFAULT_SPACE.trial(values, EXPERIMENT, num_samples=8_000)
    assert (trial.name, trial.change) == ("spectral", "")
    assert trial.experiment.architecture("spectral") == SPECTRAL


def test_trial_has_the_values_and_says_which_differ() -> None:
    values = {"filters_scale": 0.5, "num_blocks": 5, "fitting.learning_rate": 0.00123456}
    trial = DEFAULT_SPACE.trial(values, EXPERIMENT, num_samples=8_000)
    architecture = trial.experiment.architecture(trial.model)
    assert [block.filters for block in architecture.blocks] == [12, 24, 32, 48, 48]
    assert architecture.fitting.learning_rate == 0.00123
    assert trial.change == "filters_scale 0.5, num_blocks 5, learning_rate 0.00123"
    assert trial == DEFAULT_SPACE.trial(values, EXPERIMENT, num_samples=8_000)
    other = DEFAULT_SPACE.trial(values | {"num_blocks": 4}, EXPERIMENT, num_samples=8_000)
    assert other.name != trial.name


def test_file_with_a_table_search_is_a_space(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    space = find_space(str(path), num_samples=8_000)
    assert space is not None
    space.check(EXPERIMENT)
    assert space.name == "steps"
    assert space.dimensions == {
        "num_blocks": Range(low=1, high=3),
        "blocks.kernel_size": (2, 3),
        "fitting.learning_rate": Range(low=0.0001, high=0.01, log=True),
        "experiment.batch_size": (16, 32),
    }
    trial = space.trial({"experiment.batch_size": 16}, EXPERIMENT, num_samples=8_000)
    assert trial.experiment.batch_size == 16


@pytest.mark.parametrize("study", ["ladder", "trials.toml"])
def test_other_studies_have_no_space(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trials.toml").write_text('[[trials]]\nname = "x"\n')
    assert find_space(study, num_samples=8_000) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("head.dropout = {low = 0.5, high = 0.1}", "low must be below high, got 0.5 and 0.1"),
        ("head.dropout = {low = 0.0, high = 0.5, log = true}", "low must be above 0 with log"),
        ("head.dropout = {low = 0.0, high = 1.5}", "head.dropout: Input should be less than 1"),
        ("head.dropout = 0.5", "must be a range such as .* or a list of choices"),
        ("head.dropout = [0.5]", "head.dropout must be a range .* at least 2 items"),
        ("width = [3, 4]", "width: Extra inputs are not permitted"),
        ("blocks = [3, 4]", "a search cannot vary blocks; name a field"),
        ('name = ["a", "b"]', "a search cannot vary name"),
        ("experiment.seed = [3, 4]", "a search cannot vary experiment.seed; expected one of"),
        ("num_blocks = [0, 4]", "blocks: .* at least 1 item"),
        ('num_blocks = ["few", "many"]', "num_blocks must be a number, got 'few'"),
        ("", "the table search is empty"),
    ],
)
def test_space_that_is_not_valid_is_refused_in_a_sentence(
    tmp_path: Path, table: str, message: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'base = "optimised"\n[search]\n{table}\n')
    with pytest.raises(ConfigError, match=message):
        check_space(str(path))


def check_space(study: str) -> None:
    space = find_space(study, num_samples=8_000)
    assert space is not None
    space.check(EXPERIMENT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search", "cannot read the study"),
        ("search = 3", "is not a search; expected base, name, question"),
        ("trials = []\n[search]\nnum_blocks = [1, 2]", "is not a search"),
        ('base = "none"\n[search]\nnum_blocks = [1, 2]', "has base 'none'; expected one of"),
    ],
)
def test_file_that_is_no_search_is_refused_in_a_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_space(str(path), num_samples=8_000)


def test_search_needs_a_local_root_and_no_test_notes() -> None:
    with pytest.raises(ConfigError, match="a search needs a root that is a local folder"):
        check_search(DEFAULT_SPACE, EXPERIMENT, root="s3://bucket/data")
    with pytest.raises(ConfigError, match="would choose by test notes"):
        check_search(DEFAULT_SPACE, Experiment(models=("optimised",)), root="data")
