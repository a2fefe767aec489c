import pytest

from flows.cli.options import beam_options_of


@pytest.mark.parametrize("given", ["job_endpoint=file:1", "--job_endpoint=file:1"])
def test_beam_options_of_lets_the_commands_own_option_win(given: str) -> None:
    found = beam_options_of([given, "parallelism=2"], job_endpoint="own:1", template_location=None)
    assert found == ["parallelism=2", "job_endpoint=own:1"]


def test_beam_options_of_leaves_what_the_command_was_not_given() -> None:
    assert beam_options_of(["job_endpoint=file:1"], job_endpoint=None) == ["job_endpoint=file:1"]
