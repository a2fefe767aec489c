"""`python -m infra.orchestration up`, `down`, `status`; what `make` calls.

The settings, all of the environment, are those of `infra.orchestration.settings`.
"""

import contextlib
import os
import sys
from collections.abc import Sequence

import typer

from infra.orchestration.settings import CHECKOUT, CLIENT_AUTH, Settings, settings
from infra.prefect_settings import read_settings
from pipelines.errors import ConfigError, PipelineError
from pipelines.text import visible

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def up() -> None:
    """Start server and worker where they do not run, and set up all they need."""
    _print("up")


@app.command()
def down() -> None:
    """End what `up` started."""
    _print("down")


@app.command()
def status() -> None:
    """Show running, queued and scheduled runs."""
    _print("status")


@app.command()
def setup() -> None:
    """Set up the server of PREFECT_API_URL and PREFECT_API_AUTH_STRING, which has PostgreSQL."""
    _print("setup")


def _print(command: str) -> None:
    try:
        with contextlib.chdir(CHECKOUT):
            for line in _run(command, settings()):
                typer.echo(visible(line))
    except PipelineError as err:
        typer.echo(visible(f"infra.orchestration: {err}"), err=True)
        sys.exit(1)


def _run(command: str, config: Settings) -> Sequence[str]:
    if command == "setup":
        return _set_up(config)
    # The services have a profile of their own, so that of the user has no say here either.
    os.environ["PREFECT_HOME"] = str(config.state / "home")
    read_settings()
    # They import Prefect, which reads the settings.
    from infra.orchestration import local_stack  # noqa: PLC0415

    commands = {"up": local_stack.up, "down": local_stack.down, "status": local_stack.status}
    return commands[command](config)


def _set_up(config: Settings) -> Sequence[str]:
    url = os.environ.get("PREFECT_API_URL", "")
    if not url:
        raise ConfigError("PREFECT_API_URL is not set; set it to that of the server")
    read_settings()
    # As above.
    from infra.orchestration.provision import provision  # noqa: PLC0415
    from infra.prefect_server import connect  # noqa: PLC0415

    with connect(url, os.environ.get(CLIENT_AUTH, "")) as client:
        held = provision(client, config, env=os.environ, in_file=False)
    return [f"nightly    {held.nightly}"]


if __name__ == "__main__":
    app()
