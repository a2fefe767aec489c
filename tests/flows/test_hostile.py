"""Names and fields of other people that a terminal, a log or a page would obey."""

import json
import re
import tarfile
from collections.abc import Iterator
from io import BytesIO
from itertools import product
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from markdown_it import MarkdownIt

from infra.sample.catalogue import Note, features
from infra.sample.records import example, frame
from tests.flows.command import run
from tests.flows.conftest import LENIENT
from tests.flows.terminal import Terminal

# A title and a colour for a terminal, a line of its own, a direction; markup of Rich and Markdown.
NAME = "[red][link=x]y :smile: <b>*`|\x1b]0;x\x07\x1b[31m\nforged\r\x9b2J\u202egpj"
FIELD = f"[/red][link=http://x]{NAME}"
# What the commands show of it.
SEEN = r"\x1b]0;x\x07\x1b[31m\nforged\r\x9b2J\u202egpj"


def records() -> Iterator[bytes]:
    """Notes of two families, and some of each kind that is left out, by a name that is hostile."""
    for family in ("bass", "brass"):
        for instrument, pitch in product(range(900, 904), range(24, 29)):
            yield frame(example(features(Note(family, instrument, pitch, 100), seed=5)))
    note = features(Note("bass", 905, 50, 100), seed=5)
    named = note | {"note_str": [FIELD.encode()], "instrument_str": [FIELD.encode()]}
    yield frame(example(named))
    yield frame(example(named | {"instrument_source_str": [FIELD.encode()]}))
    yield frame(example(named | {"pitch": [FIELD.encode()]}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFRecord file, a tar of one, and a folder of the other form, all by hostile names."""
    folder = tmp_path_factory.mktemp("hostile") / NAME
    (folder / NAME / "audio").mkdir(parents=True)
    data = b"".join(records())
    (folder / f"{NAME}.tfrecord").write_bytes(data)
    with tarfile.open(folder / f"{NAME}.tar", "w") as tar:
        member = tarfile.TarInfo(f"{NAME}/{NAME}.tfrecord")
        member.size = len(data)
        tar.addfile(member, BytesIO(data))
    (folder / NAME / "examples.json").write_text(json.dumps({FIELD: {"note_str": FIELD}}))
    (folder / NAME / "audio" / f"{NAME}.wav").write_bytes(b"RIFF")
    return folder


def check(text: str) -> None:
    """Nothing in a text of lines is obeyed rather than shown."""
    assert [char for char in text if char != "\n" and not char.isprintable()] == []
    assert not re.search(r"^\s*forged", text, re.MULTILINE)


def shows(*arguments: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """Run a command whose output is safe; returns all of it."""
    done: CompletedProcess[str] = run("nsynth", *arguments, env=env)
    for text in (done.stdout, done.stderr):
        check(text)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def prints(*arguments: str) -> dict[str, Any]:
    """Run a command with --json; returns what it printed."""
    done = run("nsynth", *arguments, "--json")
    check(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Path:
    """A data set of the tar, in a root of a hostile name."""
    source, root = str(folder / f"{NAME}.tar"), str(folder / "root")
    seen = shows("convert", source, "--root", root, *LENIENT[:2])
    assert SEEN in seen.replace("\n", "")
    (found,) = (folder / "root" / "notes").glob("*/manifest.json")
    return found


def test_commands_show_hostile_text_and_json_has_it_as_it_is(manifest: Path, folder: Path) -> None:
    root = str(folder / "root")
    assert "judging" in shows("validate", str(manifest), *LENIENT[2:])
    stray = folder / "root" / "notes" / "0a" / "data" / "part-00000-000000000000000.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"left over")
    for command in ("list", "verify", "quarantine"):
        # A table folds long cells.
        table = shows(command, root).replace("\n", "").replace(" ", "")
        assert SEEN.replace(" ", "")[:12] in table
    assert "part-00000" in shows("clean", root, "--older-than-hours", "0", "--dry-run")
    (listed,) = [of for of in prints("list", root)["datasets"] if not of["note"]]
    assert listed["sources"] == [f"{NAME}.tfrecord"]
    assert prints("clean", root, "--older-than-hours", "0")["objects"] == [str(stray)]
    rows = prints("quarantine", root)["quarantined"]
    assert {row["source_file"] for row in rows} == {f"{NAME}.tfrecord"}
    assert len(rows) == 1
    assert prints("verify", root)["problems"] == []


def test_readme_shows_a_hostile_name_as_text(manifest: Path) -> None:
    text = manifest.with_name("README.md").read_text("utf-8")
    check(text)
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert not re.search("<(b|em|strong|a|img)[ >](?!href=.http)", page)
    assert SEEN in page.replace("&lt;", "<").replace("&amp;", "&")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("convert", "{folder}/{name}", "--root", "{folder}/other"), 1),
        (("convert", "{folder}/{name}.gone", "--root", "{folder}/other"), 1),
        (("validate", "{folder}/{name}/manifest.json"), 1),
        (("list", "{folder}/{name}/gone"), 1),
        (("verify", "{folder}/{name}/gone"), 1),
        (("evaluate", "{name}", "--root", "{folder}"), 1),
        (("convert", "x", "--engine-settings", "{folder}/{name}.toml"), 1),
        (("verify", "{folder}", "{name}"), 2),
        (("{name}",), 2),
        (("convert", "x", "--\x1b[31m"), 2),
        (("convert", "x", "--runner", "{name}"), 2),
    ],
)
def test_errors_show_hostile_names(arguments: tuple[str, ...], code: int, folder: Path) -> None:
    given = [part.format(folder=folder, name=NAME) for part in arguments]
    assert r"\x1b" in shows(*given, code=code).replace("\n", "")


def test_verify_shows_a_problem_of_a_hostile_name(manifest: Path, folder: Path) -> None:
    shard = next(manifest.parent.glob("data/part-*.parquet"))
    intact = shard.read_bytes()
    shard.write_bytes(intact[:-100])
    shows("verify", str(folder / "root"), code=1)
    problems = prints("verify", str(folder / "root"))["problems"]
    shard.write_bytes(intact)
    assert any(NAME in problem for problem in problems)


def test_progress_shows_hostile_names(folder: Path, tmp_path: Path) -> None:
    source = str(folder / f"{NAME}.tfrecord")
    terminal = Terminal(
        "nsynth", "convert", source, "--root", str(tmp_path / NAME), *LENIENT[:2], env={}
    )
    try:
        assert terminal.wait() == 0, terminal.output
    finally:
        terminal.close()
    # The bars have sequences of their own.
    for sequence in ("\x1b]0;", "\x1b[31m", "\x9b", "\u202e", "\x07"):
        assert sequence not in terminal.output
    assert r"\x1b]0;x\x07" in terminal.output
