import pytest

from pipelines.engines.engine import Engine
from pipelines.engines.remote_workers import parse_worker_error
from pipelines.errors import ConfigError, DatasetError

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
