"""The password: who can read it, and where it comes from."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.orchestration.settings import (
    CLIENT_AUTH,
    SERVER_AUTH,
    Settings,
    export_line,
    password_file,
    server_auth,
    settings,
)
from pipelines.errors import ConfigError

OWN = "me:sesame"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, whose path a shell would split and expand."""
    folder = tmp_path / "a $HOME of mine"
    monkeypatch.setenv("NSYNTH_STATE", str(folder))
    monkeypatch.delenv(SERVER_AUTH, raising=False)
    monkeypatch.delenv(CLIENT_AUTH, raising=False)
    return folder


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_generated_password_is_its_owners_alone(state: Path) -> None:
    auth = server_auth(settings())
    assert auth.startswith("nsynth:")
    assert len(auth) > 40
    assert mode(password_file(state)) == 0o600
    assert mode(state) == 0o700
    assert server_auth(settings()) == auth


def test_each_state_has_a_password_of_its_own(tmp_path: Path, state: Path) -> None:
    first = server_auth(settings())
    password_file(state).unlink()
    assert server_auth(settings()) != first


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o620])
def test_password_that_others_reach_is_refused(state: Path, bits: int) -> None:
    auth = server_auth(settings())
    password_file(state).chmod(bits)
    with pytest.raises(ConfigError, match="other users") as refused:
        server_auth(settings())
    assert auth not in str(refused.value)


def test_empty_file_is_no_password(state: Path) -> None:
    server_auth(settings())
    password_file(state).write_text("\n")
    with pytest.raises(ConfigError, match="holds no password; remove it"):
        server_auth(settings())


def test_link_is_not_written_through(state: Path, tmp_path: Path) -> None:
    state.mkdir()
    password_file(state).symlink_to(tmp_path / "other")
    with pytest.raises((ConfigError, OSError)):
        server_auth(settings())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("names", [(SERVER_AUTH,), (CLIENT_AUTH,), (SERVER_AUTH, CLIENT_AUTH)])
def test_own_password_wins_and_is_not_stored(
    names: tuple[str, ...], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(name, OWN)
    assert server_auth(settings()) == OWN
    assert not password_file(state).exists()
    assert OWN not in repr(settings())


def test_two_own_passwords_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_AUTH, OWN)
    monkeypatch.setenv(CLIENT_AUTH, "me:other")
    with pytest.raises(ConfigError, match=f"{SERVER_AUTH} and {CLIENT_AUTH} differ"):
        settings()


def test_password_that_the_server_fails_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER_AUTH, "me:sésame")
    with pytest.raises(ConfigError, match=f"{SERVER_AUTH} must be printable ASCII"):
        settings()


def exported(given: Settings, **env: str) -> str:
    """What a shell gives to `prefect` after the line that `make up` prints."""
    script = f'{export_line(given)}\nprintf %s "${CLIENT_AUTH}"'
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, check=True, text=True)
    return done.stdout


def test_export_line_gives_the_password_and_does_not_hold_it() -> None:
    auth = server_auth(settings())
    assert exported(settings()) == auth
    assert auth.partition(":")[2] not in export_line(settings())


@pytest.mark.parametrize("name", [SERVER_AUTH, CLIENT_AUTH])
def test_export_line_gives_the_users_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, OWN)
    assert exported(settings(), **{name: OWN}) == OWN
    assert OWN not in export_line(settings())
