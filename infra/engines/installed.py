"""Where this checkout's own engines lie, once `make engines` has installed them."""

import os
import shutil
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]


def folder() -> Path:
    """The folder of all: NSYNTH_ENGINES, or `.engines` beside the sources."""
    return Path(os.environ.get("NSYNTH_ENGINES") or CHECKOUT / ".engines").absolute()


def program(name: str) -> Path:
    """A program built from source here."""
    return folder() / "bin" / name


def python(environment: str) -> Path:
    """The interpreter of an environment here."""
    return folder() / environment / "bin" / "python"


def prism() -> str:
    """Prism: ours, or the one that is installed; its name alone where there is neither."""
    ours = program("prism")
    return str(ours) if ours.exists() else shutil.which("prism") or "prism"


def job_server_jar() -> Path:
    """Beam's job server for Flink."""
    return folder() / "flink-job-server" / "job-server.jar"
