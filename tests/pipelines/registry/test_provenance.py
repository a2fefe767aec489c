import subprocess
from pathlib import Path

import pytest

from pipelines.registry.runs import git_state

SOURCE = Path("pipelines/registry/runs.py")


def git(folder: Path, *command: str) -> str:
    named = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *named, *command], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / SOURCE).parent.mkdir(parents=True)
    (tmp_path / SOURCE).write_text("1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


def test_git_state_is_the_commit(checkout: Path) -> None:
    (checkout / "data").mkdir()
    (checkout / "data" / "notes.json").write_text("no source of this project")
    state = git_state(checkout)
    assert state is not None
    assert (state.commit, state.dirty) == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize("changed", [SOURCE, Path("pipelines/new.py")])
def test_git_state_is_dirty_where_sources_differ(checkout: Path, changed: Path) -> None:
    (checkout / changed).write_text("2\n")
    state = git_state(checkout)
    assert state is not None
    assert state.dirty


def test_git_state_is_none_outside_a_checkout(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None


def test_git_state_is_none_in_the_checkout_of_another_project(checkout: Path) -> None:
    installed = checkout / "environment"
    (installed / SOURCE).parent.mkdir(parents=True)
    (installed / SOURCE).write_text("1\n")
    assert git_state(installed) is None
