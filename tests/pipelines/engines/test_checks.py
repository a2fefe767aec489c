import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engines.checks import check
from pipelines.engines.engine import Engine
from pipelines.errors import ConfigError

BUCKET = ["s3://bucket/source.tfrecord", "s3://bucket/root"]
DATAFLOW = {"project": "p", "region": "r", "temp_location": "gs://b/t"}


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("portable", {}, "the runner portable needs job_endpoint: add --beam-option job_endpoint="),
        ("portable", {"job_endpoint": "host"}, "expected HOST:PORT as job_endpoint, got 'host'"),
        ("portable", {"job_endpoint": "host:x"}, "expected HOST:PORT as job_endpoint, got 'host:"),
        ("dataflow", {}, "the runner dataflow needs project, region, temp_location: add "),
        (
            "dataflow",
            DATAFLOW | {"staging_location": "s3://b/s"},
            "Dataflow needs a gs:// location as staging_location, got 's3://b/s'",
        ),
        ("local", {"template_location": "gs://b/t"}, "only the runner dataflow writes a template"),
        (
            "local",
            {"direct_running_mode": "multi_threading"},
            "the local runner converts in threads of its own: leave direct_running_mode out",
        ),
        (
            "local",
            {"direct_num_workers": "2"},
            "leave direct_num_workers out and say how many by --workers, or choose",
        ),
        ("prism", {"prism_location": "/no/prism"}, "there is no program /no/prism: install it as"),
        ("flink", {"job_server_java_launcher": "/no/java"}, "needs Java, and there is no program"),
        (
            "flink",
            {"job_server_java_launcher": sys.executable, "flink_job_server_jar": "/no.jar"},
            "there is no job server /no.jar: install it as docs/engines.md says",
        ),
    ],
)
def test_check_refuses_what_cannot_work(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(Engine(name, options), BUCKET)


def test_check_refuses_a_server_that_does_not_answer(silent: str, listening: str) -> None:
    for option, engine in [
        ("job_endpoint", Engine("portable", {"job_endpoint": silent})),
        (
            "environment_config",
            Engine(
                "portable",
                {
                    "job_endpoint": listening,
                    "environment_type": "EXTERNAL",
                    "environment_config": silent,
                },
            ),
        ),
    ]:
        message = f"nothing answers at {silent}, the {option} of the runner portable: start it"
        with pytest.raises(ConfigError, match=message):
            check(engine, BUCKET)


def test_check_takes_a_server_that_answers(listening: str) -> None:
    check(Engine("portable", {"job_endpoint": listening}), BUCKET)
    check(Engine("flink", {"job_endpoint": f"http://{listening}"}), BUCKET)


@pytest.mark.parametrize("place", ["here/root", "file:///here/root", "memory://root"])
def test_check_refuses_places_that_other_machines_do_not_see(place: str, listening: str) -> None:
    engine = Engine("portable", {"job_endpoint": listening})
    message = "the workers of portable are other processes, which may not see .*root: name an obj"
    with pytest.raises(ConfigError, match=message):
        check(engine, [*BUCKET, place])
    check(Engine("portable", engine.options, shares_disk=True), [place])


def test_check_takes_local_places_where_this_process_does_the_work(tmp_path: Path) -> None:
    check(Engine(), [str(tmp_path)])
    check(Engine("prism", {"prism_location": sys.executable}), [str(tmp_path)])
