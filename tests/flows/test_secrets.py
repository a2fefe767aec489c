"""A secret in what a command is given is refused, and repeated nowhere."""

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from pipelines.errors import ConfigError

LOCATIONS = (
    "https://host/x.tfrecord?X-Goog-Signature=hunter2",
    "https://host/x-*.tfrecord#access_token=hunter2",
    "host/x.tfrecord?API_KEY=hunter2",
    "s3://me:hunter2@bucket/x",
)
COMMANDS = (
    "convert {}",
    "convert x --engine-settings {}",
    "validate {}",
    "train {} --test x",
    "train x --test y --root {}",
    "retrain --train {} --test x",
    "retrain --train x --test y --root {}",
    "report {}",
    "index --root {}",
    "evaluate {}",
    "compare {} x",
    "rollback preliminary --root {}",
    "list {}",
    "verify {}",
    "quarantine {}",
    "clean {}",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("location", LOCATIONS)
def test_command_refuses_a_location_with_a_secret(command: str, location: str) -> None:
    done = CliRunner().invoke(app, command.format(location).split())
    assert isinstance(done.exception, ConfigError)
    assert "location holds credentials; leave them out" in str(done.exception)
    assert "hunter2" not in done.output + str(done.exception)


@pytest.mark.parametrize(
    "option",
    [
        "s3_secret_access_key=hunter2",
        "s3-secret-access-key=hunter2",
        "hunter2",
        "temp_location=https://host/x?sig=hunter2",
    ],
)
@pytest.mark.parametrize("command", ["convert x", "retrain --train x --test y"])
def test_command_refuses_an_option_of_beam_with_a_secret(command: str, option: str) -> None:
    words = [*command.split(), "--runner", "portable", "--beam-option", option]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError)
    assert "hunter2" not in done.output + str(done.exception)
