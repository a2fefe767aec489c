"""Google Cloud Storage by the same door: gcsfs, in the environment that has it, on a stand-in."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from infra.engines.settings import CHECKOUT, program, python
from infra.sample.splits import write_splits
from tests.engines.conftest import LENIENT, installed
from tests.engines.processes import free_port, started, wait_until

ENV = {"PYTHONPATH": str(CHECKOUT), "NSYNTH_STORAGE_WAIT_SEC": "0.01"}

WRITERS = """
from concurrent.futures import ThreadPoolExecutor
from pipelines.storage import create, read_range
with ThreadPoolExecutor(8) as pool:
    won = list(pool.map(lambda _: create("gs://nsynth/won", b"same"), range(8)))
print(won.count(True), *(read_range("gs://nsynth/won", start, 12) for start in (2, 9)))
"""


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of a user of a stand-in with a bucket, which asks nobody who they are."""
    for part in ("fake-gcs-server", "dataflow"):
        installed(part)
    place, port = tmp_path_factory.mktemp("gcs"), free_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [program("fake-gcs-server"), "-backend", "memory"]
    command += ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-public-host", f"127.0.0.1:{port}", "-external-url", url, "-log-level", "error"]
    with started(command, log=place / "log", cwd=place, env=os.environ, port=port):
        wait_until(lambda: _makes_bucket(port), seconds=30, every_sec=0.5)
        yield ENV | {"STORAGE_EMULATOR_HOST": url}


def _makes_bucket(port: int) -> bool:
    asking = HTTPConnection("127.0.0.1", port, timeout=5)
    how = {"Content-Type": "application/json"}
    try:
        asking.request("POST", "/storage/v1/b?project=nsynth", '{"name": "nsynth"}', how)
        return asking.getresponse().status == 200
    except OSError:
        return False
    finally:
        asking.close()


def ran(env: Mapping[str, str], cwd: Path, *arguments: str) -> tuple[int, str, str]:
    """Runs that environment's Python on this checkout; status, output, and what it said."""
    done = subprocess.run(
        [str(python("dataflow")), *arguments],
        env={**os.environ, **env},
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def nsynth(env: Mapping[str, str], cwd: Path, *arguments: str) -> tuple[int, str, str]:
    return ran(env, cwd, "-c", "from flows.cli import main; main()", *arguments)


def converted(env: Mapping[str, str], cwd: Path, source: str, root: str) -> dict[str, Any]:
    arguments = ("convert", source, "--root", root, "--range-mib", "4", *LENIENT, "--json")
    status, out, said = nsynth(env, cwd, *arguments)
    assert status == 0, said
    assert "WARNING" not in said
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found | {"said": said}


@contextmanager
def refusing(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with one status; its address, and what it was asked."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps({"error": {"code": status, "message": "not you"}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_convert_from_gs_to_gs_is_the_data_set_of_a_folder(
    google: Mapping[str, str], tmp_path: Path
) -> None:
    write_splits(str(tmp_path / "source"), {"train": 60, "valid": 40, "test": 40})
    source = tmp_path / "source" / "nsynth-train.tfrecord"
    there = f"gs://nsynth/source/{source.name}"
    upload = "import sys; from pathlib import Path; from pipelines import storage; "
    upload += "storage.put_file(Path(sys.argv[1]), sys.argv[2])"
    assert ran(google, tmp_path, "-c", upload, str(source), there) == (0, "", "")
    here = converted(google, tmp_path, str(source), str(tmp_path / "root"))
    first = converted(google, tmp_path, there, "gs://nsynth/root")
    again = converted(google, tmp_path, there, "gs://nsynth/root")
    assert first["manifest"].startswith("gs://nsynth/root/notes/")
    for digest in ("manifest_digest", "num_notes", "num_quarantined"):
        assert first[digest] == again[digest] == here[digest]
    assert "nothing to convert" in again["said"]
    assert nsynth(google, tmp_path, "verify", "gs://nsynth/root")[0] == 0


def test_create_on_gs_has_one_winner_and_ranges_end_with_the_object(
    google: Mapping[str, str], tmp_path: Path
) -> None:
    assert ran(google, tmp_path, "-c", WRITERS) == (0, "1 b'me' b''\n", "")


def test_bucket_of_gs_that_is_not_there_is_one_sentence(
    google: Mapping[str, str], tmp_path: Path
) -> None:
    status, _, said = nsynth(google, tmp_path, "convert", "gs://no-such/x.tfrecord")
    expected = "nsynth: there is no gs://no-such/x.tfrecord; check that bucket 'no-such' exists"
    assert (status, said) == (1, f"{expected} and the key is right\n")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "no credentials for gs://nsynth/x.tfrecord: run `gcloud auth application-default"),
        (403, "cannot use gs://nsynth/x.tfrecord: Forbidden: "),
        (503, "gs://nsynth/x.tfrecord failed 3 times: not you, 503"),
    ],
)
def test_server_of_gs_that_refuses_is_one_sentence(
    tmp_path: Path, status: int, sentence: str
) -> None:
    installed("dataflow")
    with refusing(status) as (url, asked):
        env = ENV | {"STORAGE_EMULATOR_HOST": url, "NSYNTH_STORAGE_ATTEMPTS": "3"}
        code, _, said = nsynth(env, tmp_path, "convert", "gs://nsynth/x.tfrecord")
    assert code == 1
    assert f"nsynth: {sentence}" in said
    assert "Traceback" not in said
    # Nothing below tries again on its own.
    assert asked.count("/storage/v1/b/nsynth/o/x.tfrecord") == (3 if status == 503 else 1)
