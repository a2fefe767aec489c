"""Ctrl-C in a terminal, and harder ends, at each stage of the main job and of a conversion."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.sample.splits import write_splits
from tests.flows.command import run_json
from tests.flows.conftest import LENIENT, NUM_NOTES
from tests.flows.terminal import CTRL_C, Terminal

STOPPED = "nsynth: stopped; run the same command again to go on where it stopped"
# On a quiet machine it is below 5; one that eight others use has been seen to take 10.
AT_ONCE_SEC = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of fewer notes than the deployments train on."""
    folder = tmp_path_factory.mktemp("few")
    write_splits(str(folder), NUM_NOTES)
    return folder


@pytest.fixture(scope="module")
def long_source(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of several ranges, each of which takes about a second."""
    path = tmp_path_factory.mktemp("long") / "long.tfrecord"
    path.write_bytes((source / "nsynth-train.tfrecord").read_bytes() * 25)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment without a server or settings, with its own temporary folder."""
    (tmp_path / "temporary").mkdir()
    return {
        "HOME": str(tmp_path / "home"),
        "PREFECT_HOME": "",
        "PREFECT_API_URL": "",
        "TMPDIR": str(tmp_path / "temporary"),
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start commands in terminals that are closed after the test."""
    terminals: list[Terminal] = []

    def started(*command: str, **more: str) -> Terminal:
        terminals.append(Terminal(*command, env=environment | more))
        return terminals[-1]

    yield started
    for terminal in terminals:
        terminal.close()


def main_job(source: Path, root: Path, *more: str) -> tuple[str, ...]:
    return (
        *("nsynth", "retrain", "--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(source / "nsynth-test.tfrecord"), "--root", str(root)),
        *("--model", "preliminary", *LENIENT, *more),
    )


def press_ctrl_c(terminal: Terminal) -> None:
    """Press Ctrl-C, check how the command ends, and print how long it took."""
    begun = time.monotonic()
    terminal.type(CTRL_C)
    code = terminal.wait()
    seconds = time.monotonic() - begun
    assert code == 130, terminal.output
    assert terminal.processes() == []
    assert "Traceback" not in terminal.output
    assert terminal.output.count(STOPPED) == 1
    assert terminal.output.rstrip().endswith(STOPPED)
    assert seconds < AT_ONCE_SEC
    print(f"ended after {seconds:.1f} s")  # noqa: T201 - for the figure in a report


def imports(terminal: Terminal, _root: Path) -> bool:
    try:
        maps = psutil.Process(terminal.pid).memory_maps()
    except psutil.Error:
        return False
    return any("pyarrow" in mapped.path or "numpy" in mapped.path for mapped in maps)


STAGES: dict[str, Callable[[Terminal, Path], bool]] = {
    "import": imports,
    "server start": lambda terminal, _root: bool(terminal.processes()),
    "conversion": lambda terminal, _root: "converting" in terminal.output,
    "validation": lambda terminal, _root: "judging" in terminal.output,
    "training": lambda _terminal, root: bool(list(root.glob("runs/*/*/checkpoints/epoch-*.npz"))),
    "analysis": lambda terminal, _root: "timing training steps" in terminal.output,
    "report": lambda terminal, _root: "writing the report" in terminal.output,
}


def test_ctrl_c_ends_the_main_job_at_each_stage_and_the_rerun_goes_on(
    start: Callable[..., Terminal], source: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    root = tmp_path / "root"
    command = main_job(source, root, "--epochs", "8")
    for stage, is_reached in STAGES.items():
        print(stage)  # noqa: T201 - as above
        terminal = start(*command)
        terminal.until(lambda: is_reached(terminal, root))  # noqa: B023 - used within this turn
        press_ctrl_c(terminal)
        assert list((tmp_path / "temporary").glob("nsynth-prefect-*")) == []
    done = run_json(*command, env=environment)
    assert done["models"]["preliminary"]["num_scored"]


@pytest.mark.parametrize("command", ["convert", "retrain"])
def test_ctrl_c_ends_a_conversion_in_the_middle_of_its_ranges(
    command: str, start: Callable[..., Terminal], source: Path, long_source: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    test = ("--test", str(source / "nsynth-test.tfrecord"))
    job = {
        "convert": ("convert", str(long_source)),
        "retrain": ("retrain", "--train", *[str(long_source)], *test),
    }
    terminal = start("nsynth", *job[command], "--root", str(root))
    terminal.until(lambda: "converting" in terminal.output)
    press_ctrl_c(terminal)
    assert not list(root.glob("notes/*/manifest.json"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_nothing_is_left_of_a_main_job_that_is_killed(
    number: signal.Signals, start: Callable[..., Terminal], source: Path, tmp_path: Path
) -> None:
    terminal = start(*main_job(source, tmp_path / "root", "--epochs", "5000"))
    terminal.until(lambda: STAGES["training"](terminal, tmp_path / "root"))
    assert terminal.processes()
    os.kill(terminal.pid, number)
    assert terminal.wait() == (130 if number == signal.SIGTERM else -number)
    assert_nothing_left(terminal, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_trainings_side_by_side_end_with_the_main_job(
    number: signal.Signals, start: Callable[..., Terminal], source: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    terminal = start(
        *main_job(source, root, "--model", "optimised", "--epochs", "5000"),
        # Two devices that are not there give two processes, on processors.
        CUDA_VISIBLE_DEVICES="7,8",
    )
    terminal.until(lambda: len(list(root.glob("runs/*/*/checkpoints"))) == 2)
    if number == signal.SIGINT:
        press_ctrl_c(terminal)
    else:
        os.kill(terminal.pid, number)
        assert terminal.wait() == -number
    assert_nothing_left(terminal, tmp_path)


def test_main_job_ends_with_its_server(
    start: Callable[..., Terminal], source: Path, tmp_path: Path
) -> None:
    terminal = start(*main_job(source, tmp_path / "root", "--epochs", "5000"))
    terminal.until(lambda: STAGES["training"](terminal, tmp_path / "root"))
    (server,) = (
        process for process in terminal.processes() if "flows.temporary_server" in process.cmdline()
    )
    server.kill()
    assert terminal.wait() == 1
    assert (
        terminal.output.rstrip()
        .splitlines()[-1]
        .endswith(
            "nsynth: the temporary Prefect server has ended: it was killed; "
            "run the same command again to go on where it stopped"
        )
    )
    assert_nothing_left(terminal, tmp_path)


def assert_nothing_left(terminal: Terminal, tmp_path: Path) -> None:
    """Wait until no process is left: those of a killed one end by themselves."""
    end = time.monotonic() + AT_ONCE_SEC
    while terminal.processes():
        assert time.monotonic() < end, terminal.processes()
        time.sleep(0.1)
    assert list((tmp_path / "temporary").glob("nsynth-prefect-*")) == []
    assert "Traceback" not in terminal.output
