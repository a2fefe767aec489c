import pytest

from flows.cli.options import add_beam_options


@pytest.mark.parametrize("given", ["job_endpoint=file:1", "--job_endpoint=file:1"])
def test_add_beam_options_lets_the_commands_own_option_win(given: str) -> None:
    found = add_beam_options([given, "parallelism=2"], job_endpoint="own:1", template_location=None)
    assert found == ["parallelism=2", "job_endpoint=own:1"]


def test_add_beam_options_leaves_what_the_command_was_not_given() -> None:
    assert add_beam_options(["job_endpoint=file:1"], job_endpoint=None) == ["job_endpoint=file:1"]
