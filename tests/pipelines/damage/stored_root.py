"""A small root that commands read: where its files are, and what the commands say of them."""

import json
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from flows.cli.main import app
from pipelines.errors import PipelineError
from pipelines.records import SEAL, sealed

MODEL: Final = "preliminary"


def runs(root: Path) -> list[Path]:
    """The folders of the runs, the first the one that has everything."""
    return sorted((root / "runs").iterdir(), key=lambda run: not (run / "report.html").exists())


def find(root: Path, pattern: str) -> Path:
    """The file of a name pattern; of a run that of the one that has everything."""
    pattern = pattern.replace("RUN", runs(root)[0].name)
    return sorted(root.glob(pattern))[0]


def said(*arguments: str) -> tuple[int, str]:
    """Exit code and output of a command; nothing but the project's own errors may end it."""
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, PipelineError):
        sentence = str(done.exception)
        assert "\n" not in sentence
        return 1, sentence
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join(done.output.split())


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Writes a record as somebody does who knows how they are sealed."""
    if SEAL in content:
        del content[SEAL]
        path.write_bytes(sealed(content, format_version=content.pop("format_version")))
    else:
        path.write_text(json.dumps(content))
