"""`python -m infra.orchestration up`, `down`, `status`; what `make` calls.

The settings, all of the environment, are those of `infra.orchestration.settings`.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

import typer

from infra.orchestration import local_stack
from infra.orchestration.api import Api
from infra.orchestration.provision import provision
from infra.orchestration.settings import CHECKOUT, CLIENT_AUTH, Settings, settings
from infra.orchestration.status import status
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
    _print(local_stack.up)


@app.command()
def down() -> None:
    """End what `up` started."""
    _print(local_stack.down)


@app.command(name="status")
def show_status() -> None:
    """Show running, queued and scheduled runs."""
    _print(status)


@app.command()
def setup() -> None:
    """Set up the server of PREFECT_API_URL and PREFECT_API_AUTH_STRING, which has PostgreSQL."""

    def _setup(given: Settings) -> Sequence[str]:
        url = os.environ.get("PREFECT_API_URL", "")
        if not url:
            raise ConfigError("PREFECT_API_URL is not set; set it to that of the server")
        api = Api(url, os.environ.get(CLIENT_AUTH, ""))
        held = provision(api, given, env=os.environ, in_file=False)
        return [f"nightly    {held.nightly}"]

    _print(_setup)


def _print(command: Callable[[Settings], Sequence[str]]) -> None:
    try:
        with contextlib.chdir(CHECKOUT):
            for line in command(settings()):
                typer.echo(visible(line))
    except PipelineError as err:
        typer.echo(visible(f"infra.orchestration: {err}"), err=True)
        sys.exit(1)


if __name__ == "__main__":
    app()
