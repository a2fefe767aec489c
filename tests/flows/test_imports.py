"""Commands start fast: heavy packages are imported only where they are used."""

import importlib
import subprocess
import sys

import pytest

from flows.cli.main import ENTRIES

HEAVY = {
    "apache_beam",
    "keras",
    "matplotlib",
    "optuna",
    "pandas",
    "prefect",
    "scipy",
    "tensorflow",
}
CODE = """
import sys
from flows.cli.main import app
try:
    app({words}, standalone_mode=False)
finally:
    print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize(
    ("words", "more"), [(["--help"], {"numpy", "pyarrow"}), (["list", "."], set())]
)
def test_command_imports_nothing_heavy(words: list[str], more: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(words=words)], capture_output=True, text=True, check=True
    )
    assert (HEAVY | more) & set(done.stdout.splitlines()[-1].split()) == set()


def test_summaries_are_the_first_lines_of_the_docstrings() -> None:
    for name, entry in ENTRIES.items():
        module = importlib.import_module(f"flows.cli.{entry.module}")
        command = getattr(module, entry.function or name)
        assert command.__doc__.splitlines()[0] == entry.summary
