"""The pages name links, commands, options, files, targets and variables that exist."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from flows.cli.main import app

CHECKOUT: Final = Path(__file__).parents[2]

PAGES: Final = (
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((CHECKOUT / "docs").glob("*.md")),
)

OPTION: Final = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*")

OTHER_PROGRAMS: Final = r"(^|\s|/)(prefect|docker|python|java|pytest|versitygw|prism|mypy) "

# Options that the pages mention without their program: of Beam's boot, its job server, and mypy.
OTHER_OPTIONS: Final = {"--worker_pool", "--job-host", "--artifacts-dir", "--strict"}


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    """One page after the other."""
    path: Path = request.param
    return path


def command_options() -> Mapping[str, set[str]]:
    """Return the options of each command of `nsynth`."""
    group: Any = typer.main.get_command(app)
    commands = {name: group.get_command(None, name) for name in group.list_commands(None)}
    return {
        name: {"--help"}.union(
            *((*option.opts, *option.secondary_opts) for option in command.params)
        )
        for name, command in commands.items()
    }


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def code_lines(text: str) -> Iterator[str]:
    """Yield the lines of code blocks, continued ones joined, and the code inside sentences."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", rest))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, by GitHub's rule."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_to_pages_and_headings(page: Path) -> None:
    text = without_code(page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_commands_exist_and_have_the_options(page: Path) -> None:
    options = command_options()
    for line in code_lines(page.read_text("utf-8")):
        match = re.search(r"(?:^|\s|/)nsynth ([a-z]+\s.*)", line)
        if not match:
            continue
        words = shlex.split(match[1].replace("'", ""), comments=True)
        assert words[0] in options, line
        given = {word.partition("=")[0] for word in words if OPTION.match(word)}
        assert given <= options[words[0]], line


def test_options_belong_to_a_command(page: Path) -> None:
    own = {"--version", "--install-completion"}
    known = own.union(OTHER_OPTIONS, *command_options().values())
    for line in code_lines(page.read_text("utf-8")):
        if not re.search(OTHER_PROGRAMS, line):
            assert set(OPTION.findall(line)) <= known, line


def test_files_and_modules_exist(page: Path) -> None:
    for line in code_lines(page.read_text("utf-8")):
        for name in re.findall(
            r"(?<![\w/.])(?:flows|tasks|pipelines|infra|tests|docs)/[\w./-]+", line
        ):
            # A user makes infra/.env.
            assert name == "infra/.env" or (CHECKOUT / name).exists(), line
        for module in re.findall(r"python -m ((?:infra|pipelines|tests)[\w.]*)", line):
            path = CHECKOUT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), line


def test_targets_exist(page: Path) -> None:
    targets = set(
        re.findall(r"^([a-z][a-z0-9-]*):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    )
    for line in code_lines(page.read_text("utf-8")):
        assert set(re.findall(r"^make ([a-z][a-z0-9-]*)", line)) <= targets, line


def test_variables_are_read_by_the_code(page: Path) -> None:
    files = [
        path
        for name in ("flows", "tasks", "pipelines", "infra", "tests")
        for path in (CHECKOUT / name).rglob("*.py")
    ]
    code = "\n".join(
        path.read_text("utf-8") for path in files if path.parent != Path(__file__).parent
    )
    for name in re.findall(r"`(NSYNTH_[A-Z_0-9]+)", page.read_text("utf-8")):
        assert name in code, name
