from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from infra.engines.settings import load_engine
from pipelines.errors import ConfigError
from pipelines.parameters import Runner


@pytest.mark.parametrize("name", Runner)
def test_files_keep_the_places_of_this_machine_from_workers_elsewhere(name: str) -> None:
    assert load_engine(name).shares_disk is False


@pytest.mark.parametrize("name", ["local", "prism", "dataflow"])
def test_files_hold_options_that_beam_knows(name: str) -> None:
    given = PipelineOptions(load_engine(name).flags())
    unknown = given.get_all_options(retain_unknown_options=True).keys() - given.get_all_options()
    assert not unknown


def test_options_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('shares_disk = true\n[options]\na = 1\nb = 2\njob_endpoint = "file:1"\n')
    engine = load_engine("portable", file=str(file), options=["b=3", "job_endpoint=given:1"])
    assert engine.options == {"a": 1, "b": "3", "job_endpoint": "given:1"}
    assert engine.shares_disk is True


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the settings .*mine.toml: No such file"),
        ("options = ", "mine.toml is no TOML: "),
        ("options = 3", r"may hold shares_disk = true or false and a table \[options\].*options"),
        ("[option]\na = 1", "it has option"),
        ('shares_disk = "yes"', "it has shares_disk"),
    ],
)
def test_load_engine_refuses_a_bad_file(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_engine("prism", file=str(file))


def test_load_engine_refuses_a_name_before_it_reads() -> None:
    with pytest.raises(ConfigError, match="there is no runner 'abacus'"):
        load_engine("abacus", file="/no/such/file")
