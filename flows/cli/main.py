"""The commands in groups, their log lines and their exit codes."""

import importlib
import importlib.metadata
import io
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperGroup

from flows.cli.interrupt import ENGINE_SEC, INTERRUPTS, LOCAL_SEC
from pipelines.errors import PipelineError
from pipelines.parameters import Runner
from pipelines.storage import absolute
from pipelines.terminal import CONSOLE, lines
from pipelines.text import guard_log, visible, visible_lines


class Lines(logging.Handler):
    """Write log lines above the progress bars, which another handler would overwrite.

    Attributes:
      root: folder or URI under which locations are shortened to what follows it.
    """

    def __init__(self) -> None:
        """Start without a root."""
        super().__init__()
        self.root = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the line; progress has bars in a terminal."""
        return not (CONSOLE.is_terminal and getattr(record, "is_progress", False))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        text = self.format(record)
        if self.root:
            text = text.replace(f"{visible(absolute(self.root)).rstrip('/')}/", "")
        CONSOLE.print(lines(text, style="dim"))


_LINES: Final = Lines()


def _stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command time to end when it is stopped, and no more than that."""

    @wraps(command)
    def stoppable(**arguments: Any) -> None:
        is_local = arguments.get("runner", Runner.local) == Runner.local
        _LINES.root = arguments.get("root", "")
        try:
            with INTERRUPTS.working(grace_sec=LOCAL_SEC if is_local else ENGINE_SEC):
                command(**arguments)
        except KeyboardInterrupt:
            INTERRUPTS.leave()

    return stoppable


@dataclass(frozen=True)
class Entry:
    """A command that is imported when it is used.

    Attributes:
      module: of `flows.cli`, with a function of the command's name.
      summary: first line of the function's docstring.
    """

    module: str
    summary: str
    function: str = ""


_COMMANDS: Final[Mapping[str, Mapping[str, Entry]]] = {
    "Main job": {
        "retrain": Entry(
            "training", "Do the main job: convert, validate, train, evaluate, promote, report."
        ),
    },
    "Stages": {
        "convert": Entry("stages", "Convert NSynth's files to resampled Parquet shards."),
        "validate": Entry(
            "stages", "Judge each note of a data set: kept, or dropped with a reason."
        ),
        "errata": Entry("stages", "List the defects of a data set, and store them as a table."),
        "train": Entry(
            "training",
            "Train the models on one data set and score them on another, or out of fold.",
        ),
        "evaluate": Entry(
            "scores", "Compute the metrics of a run again, from the predictions that it stored."
        ),
        "score": Entry(
            "scores",
            "Score anyone's predictions, or baselines, on the notes of a run or data set.",
        ),
        "stress": Entry(
            "scores", "Measure the models of a run on test notes that were changed in known ways."
        ),
        "report": Entry("training", "Write the report of a run again, from what the run stored."),
    },
    "Models": {
        "explore": Entry(
            "exploration",
            "Run a study: trials that differ in one thing at a time, compared on one page.",
        ),
        "compare": Entry(
            "comparison",
            "Compare models on the same test notes, note by note: each later run minus the first.",
        ),
        "predict": Entry(
            "prediction",
            "Classify recordings by instrument family, with a champion or a model of a run.",
        ),
        "promote": Entry(
            "promotion", "Compare the models of a run with the champions of their names, by hand."
        ),
        "rollback": Entry(
            "promotion", "Make an earlier champion the present one again; nothing is removed."
        ),
    },
    "Housekeeping": {
        "list": Entry("stored", "List data sets, runs and champions under a root.", "list_stored"),
        "index": Entry(
            "training",
            "Write one page over all runs under a root, with their scores and links to their "
            "reports.",
        ),
        "verify": Entry(
            "stored",
            "Read everything that is stored again and account for every byte of the sources.",
        ),
        "quarantine": Entry(
            "stored",
            "List what conversions set aside: damaged bytes, and records that cannot become notes.",
        ),
        "clean": Entry(
            "stored",
            "Remove what abandoned conversions left, and caches of data sets that are gone.",
        ),
    },
}
ENTRIES: Final = {name: entry for group in _COMMANDS.values() for name, entry in group.items()}
_SETTINGS: Final[Mapping[str, Any]] = {
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "pretty_exceptions_enable": False,
}


class Commands(TyperGroup):
    """The commands in groups, of which only the one that is used is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None where there is none of that name."""
        del ctx
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"flows.cli.{entry.module}")
        single = typer.Typer(add_completion=False, **_SETTINGS)
        single.command(name=cmd_name)(_stoppable(getattr(module, entry.function or cmd_name)))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the summaries, whole, by group."""
        del ctx
        width = max(map(len, ENTRIES))
        for title, entries in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), entry.summary) for name, entry in entries.items()]
                )


app: Final = typer.Typer(
    help="Classify the notes of NSynth by instrument family: TFRecord files in, two trained models "
    "and a report out.",
    cls=Commands,
    no_args_is_help=True,
    **_SETTINGS,
)
# The extra that installs a missing package; few users need all of them.
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
    "optuna": "search",
}

# Click's, of which some versions of Typer hold a copy.
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"nsynth {importlib.metadata.version('nsynth-flows')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log timings and caches as well.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    if verbose:
        logging.getLogger("pipelines").setLevel(logging.DEBUG)


def run() -> None:
    """Run the command, and end the process with its exit code."""
    guard_log()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_LINES])
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


def _refuse(err: Exception) -> None:
    """Print what Click says of wrong usage, and end with its exit code."""
    output = io.StringIO()
    usage = cast("Any", err)  # Typer has no public name for the type
    usage.show(output)
    typer.echo(visible_lines(output.getvalue()), err=True, nl=False)
    sys.exit(usage.exit_code)


def _fail(sentence: str, *, code: int = 1) -> None:
    typer.echo(visible(f"nsynth: {sentence}"), err=True)
    sys.exit(code)
