import logging

import pytest

from pipelines.engines.engine import Engine
from pipelines.engines.remote_workers import WARNING_PREFIX, WarningCollector, parse_worker_error
from pipelines.errors import ConfigError, DatasetError


def test_listener_keeps_warnings_until_they_are_taken_and_not_without_end() -> None:
    listener, log = WarningCollector(), logging.Logger("a worker's")
    log.addHandler(listener)
    log.info("of no account")
    log.warning("%s: trying again", "s3://bucket")
    assert listener.take() == [f"{WARNING_PREFIX}s3://bucket: trying again"]
    assert listener.take() == []
    for number in range(100):
        log.warning("%d %s", number, "x" * 1000)
    lines = listener.take()
    assert len(lines) == 19
    assert max(map(len, lines)) < 320


FLINK = """java.lang.RuntimeException: Error received from SDK harness for instruction 1: Traceback
  File "beam.py", line 155, in setup
pipelines.errors.ConfigError: no such bucket

During handling of the above exception, another exception occurred:

pipelines.errors.ConfigError: a worker cannot use s3://b: no such bucket [while running 'x/convert']

"""


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (FLINK, ConfigError, "a worker cannot use s3://b: no such bucket"),
        ("pipelines.errors.DatasetError: none", DatasetError, "none"),
        ("pipelines.errors.log: none", OSError, "the engine flink failed: pipelines.errors.log"),
        ("Traceback\nKeyError:  1\n", OSError, "the engine flink failed: KeyError: 1"),
        ("", OSError, "the engine flink failed: it does not say why"),
    ],
)
def test_as_raised_is_the_workers_error(text: str, kind: type[Exception], message: str) -> None:
    error = parse_worker_error(text, Engine("flink"))
    assert type(error) is kind
    assert str(error).startswith(message)
    assert "while running" not in str(error)
