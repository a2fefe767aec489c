"""What commands say of themselves, and how long a sentence may be."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from tests.flows.command import run
from tests.pipelines.convert.records import note, tfrecord

# A path and some words, for each of the few names that are listed.
MAX_SENTENCE = 1_500
COMMANDS = [info.name or "" for info in app.registered_commands]


def test_version_is_that_of_the_package() -> None:
    done = run("nsynth", "--version")
    assert done.stdout == f"nsynth {importlib.metadata.version('nsynth-flows')}\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_also_h(command: str) -> None:
    arguments = [command] if command else []
    found, expected = (CliRunner().invoke(app, [*arguments, option]) for option in ("-h", "--help"))
    assert found.exit_code == 0
    assert "-h, --help" in found.stdout
    assert found.stdout == expected.stdout


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[int, bytes], list[str]]:
    """Writes files, of long names as a folder of shards has."""

    def write(num: int, data: bytes) -> list[str]:
        paths = [tmp_path / f"{'n' * 60}.tfrecord-{i:05d}-of-{num:05d}" for i in range(num)]
        for path in paths:
            path.write_bytes(data)
        return [str(path) for path in paths]

    return write


def longest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_convert_names_a_few_of_256_sources_without_a_note(
    sources: Callable[[int, bytes], list[str]], tmp_path: Path
) -> None:
    done = run("nsynth", "convert", *sources(256, b"?" * 64), "--root", str(tmp_path / "root"))
    assert done.returncode == 1
    assert longest(done.stderr) < MAX_SENTENCE
    assert "-00000-of-00256" in done.stderr


def test_commands_name_a_few_of_many_sources(
    sources: Callable[[int, bytes], list[str]], tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    files = sources(32, tfrecord(note(0)))
    converted = run("nsynth", "convert", *files, "--root", root)
    assert converted.returncode == 0, converted.stderr
    assert f"{Path(files[2]).name} and 29 more" in converted.stderr
    manifest = converted.stdout.splitlines()[-1]
    text = converted.stderr + run("nsynth", "convert", *files, "--root", root).stderr
    text += run("nsynth", "validate", manifest, "--max-dropped", "1").stderr
    assert longest(text) < MAX_SENTENCE
    assert "and 29 more" in run("nsynth", "list", root).stdout.replace("\n", "")
    readme = Path(manifest).with_name("README.md").read_text("utf-8")
    assert longest(readme) < MAX_SENTENCE
