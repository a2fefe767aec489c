"""The commands put together, and how they end."""

import importlib.metadata
import io
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, Final, cast

import typer

from flows.cli import comparison, promotion, scores, stages, stored, training
from flows.cli.interrupt import ENGINE_SEC, INTERRUPTS, LOCAL_SEC
from pipelines.errors import PipelineError
from pipelines.parameters import Runner
from pipelines.terminal import CONSOLE, lines
from pipelines.text import guard_log, visible, visible_lines


def _stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command time to end when it is stopped, and no more than that."""

    @wraps(command)
    def stoppable(**arguments: Any) -> None:
        is_local = arguments.get("runner", Runner.local) == Runner.local
        try:
            with INTERRUPTS.working(grace_sec=LOCAL_SEC if is_local else ENGINE_SEC):
                command(**arguments)
        except KeyboardInterrupt:
            INTERRUPTS.leave()

    return stoppable


app: Final = typer.Typer(
    help="Classifies the notes of NSynth by instrument family: TFRecord files in, two trained "
    "models and a report out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "retrain": training.retrain,
    "convert": stages.convert,
    "validate": stages.validate,
    "train": training.train,
    "report": training.report,
    "index": training.index,
    "evaluate": scores.evaluate,
    "compare": comparison.compare,
    "promote": promotion.promote,
    "rollback": promotion.rollback,
    "list": stored.list_stored,
    "verify": stored.verify,
    "quarantine": stored.quarantine,
    "clean": stored.clean,
}
_EXTRAS: Final[Mapping[str, str]] = {
    "apache_beam": "beam",
    "grpc": "beam",
    "keras": "train",
    "tensorflow": "train",
    "sklearn": "train",
    "matplotlib": "report",
    "PIL": "report",
    "soundfile": "report",
    "prefect": "flows",
    "httpx": "flows",
}
"""What to install where a package is missing: few need all of them."""

# Click's, of which some versions of Typer hold a copy.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]

for _name, _command in _COMMANDS.items():
    app.command(name=_name)(_stoppable(_command))


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"nsynth {importlib.metadata.version('nsynth-flows')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command; ends the process with its exit code."""
    guard_log()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[Lines()])
    logging.getLogger("pipelines").setLevel(logging.INFO)
    try:
        # So that wrong usage is printed here: it repeats arguments, which may be names of files.
        sys.exit(app(standalone_mode=False))
    except _USAGE_ERROR as err:
        _refuse(err)
    except PipelineError as err:
        _fail(str(err))
    except ModuleNotFoundError as err:
        if (extra := _EXTRAS.get((err.name or "").partition(".")[0])) is None:
            raise
        _fail(f"this command needs {err.name}: pip install 'nsynth-flows[{extra}]'")
    except OSError as err:
        _fail(f"{err}; run the same command again to go on where it stopped")
    except Exception as err:  # noqa: BLE001 - a fault of this program: a traceback, which quotes text
        typer.echo(visible_lines("".join(traceback.format_exception(err))), err=True, nl=False)
        sys.exit(1)


class Lines(logging.Handler):
    """Log lines above the progress bars, which a handler of its own would overwrite.

    What tells of progress is left to the bars where these are shown.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is shown."""
        return not (CONSOLE.is_terminal and getattr(record, "is_progress", False))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        CONSOLE.print(lines(self.format(record), style="dim"))


def _refuse(err: Exception) -> None:
    """Print what Click says of wrong usage, and end with its exit code."""
    said = io.StringIO()
    usage = cast("Any", err)  # Typer has no public name for the type
    usage.show(said)
    typer.echo(visible_lines(said.getvalue()), err=True, nl=False)
    sys.exit(usage.exit_code)


def _fail(sentence: str, *, code: int = 1) -> None:
    typer.echo(visible(f"nsynth: {sentence}"), err=True)
    sys.exit(code)
