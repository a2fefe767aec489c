"""Which code ran: versions of packages, and the commit of this project's checkout."""

import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parents[2]
_SOURCES: Final = ("flows", "tasks", "pipelines", "infra", "pyproject.toml")


@dataclass(frozen=True)
class Git:
    """The state of the checkout that the code comes from.

    Attributes:
      dirty: whether sources were changed since that commit, or are not part of it.
    """

    commit: str
    dirty: bool


def git_state(project: Path = _PROJECT) -> Git | None:
    """The commit of a checkout of this project; None where it is installed, or there is no git."""
    # An installed copy may lie in the folder of another project, whose commit says nothing.
    if _git(project, "ls-files", "--error-unmatch", "pipelines/registry/provenance.py") is None:
        return None
    commit = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--", *_SOURCES)
    return None if commit is None else Git(commit, bool(changed))


def versions(backend: str) -> Mapping[str, str]:
    """The versions of Python and of the packages that a model's weights depend on."""
    packages = ("nsynth-flows", "keras", backend, "numpy", "scikit-learn", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _git(project: Path, *command: str) -> str | None:
    """What git answers, None where it does not."""
    tool = shutil.which("git")
    if tool is None:
        return None
    asked = subprocess.run(  # noqa: S603 # fixed commands
        [tool, "-C", str(project), *command], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else None
