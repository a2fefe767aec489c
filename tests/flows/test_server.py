"""What a user's machine may hold around Prefect: each fault is one sentence before any work."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.command import run
from tests.flows.conftest import LENIENT


@pytest.fixture
def job(source: Path, tmp_path: Path) -> list[str]:
    return [
        *("nsynth", "retrain", "--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(source / "nsynth-test.tfrecord"), "--root", str(tmp_path / "root")),
        *("--model", "preliminary", "--epochs", "1", *LENIENT),
    ]


def refused(job: list[str], tmp_path: Path, **env: str) -> str:
    """Runs the main job, which has to refuse before any work; returns its sentence."""
    home = str(tmp_path / "home")
    done = run(*job, env={"HOME": home, "PREFECT_HOME": "", "PREFECT_API_URL": "", **env})
    assert done.returncode == 1, done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("nsynth: ")
    assert not (tmp_path / "root" / "notes").exists()
    return sentence


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_that_is_gone(job: list[str], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    sentence = refused(job, tmp_path, PREFECT_API_URL=url.replace("//", "//user:secret@"))
    assert f"the Prefect server at {url}, from the variable PREFECT_API_URL" in sentence
    assert "secret" not in sentence


def test_url_of_an_old_profile(job: list[str], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    profiles = tmp_path / "old" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text(f'active = "old"\n[profiles.old]\nPREFECT_API_URL = "{url}"\n')
    # An empty variable would be a wish for no server.
    assert "PREFECT_API_URL" not in os.environ
    done = run(*job, env={"PREFECT_HOME": str(profiles.parent)})
    assert done.returncode == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert f"the Prefect server at {url}, from the profile 'old' in {profiles}" in sentence


def test_settings_that_prefect_does_not_take(job: list[str], tmp_path: Path) -> None:
    assert "level of LoggingSettings" in refused(job, tmp_path, PREFECT_LOGGING_LEVEL="LOUD")
    sentence = refused(job, tmp_path, PREFECT_PROFILE="unknown")
    assert "Prefect has no profile 'unknown'" in sentence
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "profiles.toml").write_text('active = "gone"\n[profiles.old]\n')
    sentence = refused(job, tmp_path, PREFECT_HOME=str(tmp_path / "prefect"))
    assert "Prefect has no profile 'gone'" in sentence
    sentence = refused(job, tmp_path, PREFECT_SERVER_EPHEMERAL_ENABLED="false")
    assert "there is no Prefect server" in sentence


@pytest.mark.parametrize("text", ["this is [not toml", b"\xff\xfe", None])
def test_profiles_that_cannot_be_read(
    text: str | bytes | None, job: list[str], tmp_path: Path
) -> None:
    profiles = tmp_path / "prefect" / "profiles.toml"
    profiles.parent.mkdir()
    if text is None:
        profiles.mkdir()
    else:
        profiles.write_bytes(text.encode() if isinstance(text, str) else text)
    sentence = refused(job, tmp_path, PREFECT_HOME=str(profiles.parent))
    assert "cannot read Prefect's settings" in sentence


def damaged(path: Path) -> None:
    path.write_bytes(b"this is not SQLite, it is a text of some length" * 100)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table alembic_version (version_num varchar(32) not null)")
        database.execute("insert into alembic_version values ('fffffffffffff')")


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (damaged, "file is not a database"),
        (newer, "Can't locate revision"),
    ],
)
def test_database_that_the_user_has_and_that_cannot_be_used(
    make: Callable[[Path], None], cause: str, job: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    make(home / "prefect.db")
    sentence = refused(job, tmp_path, PREFECT_HOME=str(home))
    assert "the temporary Prefect server did not start" in sentence
    assert cause in sentence


def test_start_that_takes_too_long_is_a_sentence(job: list[str], tmp_path: Path) -> None:
    sentence = refused(job, tmp_path, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="0")
    assert "was not up after 0 s" in sentence
    assert "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS" in sentence


RUN = """
import json, os, urllib.error, urllib.request
from flows.server import PrefectServer
server = PrefectServer()
server.start()
server.wait(on_loss=print)
import prefect
url = os.environ["PREFECT_API_URL"]
status = []
for headers in ({}, {"Authorization": "Basic eDp5"}):
    try:
        urllib.request.urlopen(urllib.request.Request(f"{url}/admin/version", headers=headers))
    except urllib.error.HTTPError as err:
        status.append(err.code)
with server.recording():
    flow_run_id = prefect.flow(lambda: prefect.runtime.flow_run.id, name="check")()
    with prefect.get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run_id).state_name
server.stop()
print(json.dumps([url, status, state]))
"""


def test_temporary_server_leaves_the_users_database_alone_and_needs_no_proxy(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home" / ".prefect"
    home.mkdir(parents=True)
    newer(home / "prefect.db")
    gone = f"http://127.0.0.1:{free_port()}"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"), gone)
    prefect = {"PREFECT_API_URL": "", "PREFECT_HOME": "", "PREFECT_API_KEY": "x"}
    # Loopback never goes through a proxy.
    others = {"no_proxy": "example.org", "NO_PROXY": "", "HOME": str(home.parent)}
    done = script(RUN, **proxies, **prefect, **others)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    url, status, state = json.loads(done.stdout)
    assert url.startswith("http://127.0.0.1:")
    # Nobody else gets in.
    assert status == [401, 401]
    assert state == "Completed"
    assert {path.name for path in home.iterdir()} == {"prefect.db"}


def test_settings_are_read_where_the_home_cannot_be_written() -> None:
    code = "from infra.prefect_settings import read_settings; read_settings()"
    done = script(code, HOME="/proc/none", PREFECT_HOME="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def script(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
