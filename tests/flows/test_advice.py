"""Messages advise options that the commands have; tests/docs checks the pages."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer

from flows.cli.main import app
from tests.flows.command import CHECKOUT

OPTION: Final = re.compile(r"(?<![\w-])(?<!var\()--[a-z][a-z0-9-]*")

OTHER_OPTIONS: Final = {"--dereference", "--hard-dereference", "--sparse"}  # of tar

OTHER_PROGRAMS: Final = ("prefect ", "docker ", "python -m ", "uv ", "java ", "minio ")


def command_options() -> Mapping[str, set[str]]:
    """The options of each command of `nsynth`."""
    group: Any = typer.main.get_command(app)
    commands = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return {
        name: {option for of in command.params for option in (*of.opts, *of.secondary_opts)}
        | {"--help"}
        for name, command in commands.items()
    }


def messages() -> Iterator[tuple[str, str]]:
    """Each text of the code that people read, docstrings apart, with its place."""
    for folder in ("flows", "tasks", "pipelines", "infra"):
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if not isinstance(node, ast.Constant) or id(node) in docstrings:
                    continue
                # One word is an argument of a program that the code starts.
                if isinstance(node.value, str) and " " in node.value:
                    yield f"{path.relative_to(CHECKOUT)}:{node.lineno}", node.value


def test_messages_name_options_that_there_are() -> None:
    known = set().union(*command_options().values()) | OTHER_OPTIONS
    unknown = [
        (place, option)
        for place, text in messages()
        if not text.lstrip().startswith(OTHER_PROGRAMS)
        for option in OPTION.findall(text)
        if option not in known
    ]
    assert unknown == []


def test_messages_name_options_of_the_command_that_they_name() -> None:
    options = command_options()
    for place, text in messages():
        for match in re.finditer(r"nsynth ([a-z]+)((?: --[a-z][a-z-]*(?: [a-z]+)?)+)", text):
            unknown = set(OPTION.findall(match[2])) - options.get(match[1], set())
            assert not unknown, (place, match[0])
