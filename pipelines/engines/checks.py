"""Check an engine's options, programs and endpoints before anything starts."""

import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipelines import loopback, storage
from pipelines.engines.engine import Engine
from pipelines.errors import ConfigError

_ANSWER_SEC: Final = 5.0

_DATAFLOW_NEEDS: Final = ("project", "region", "temp_location")

_BEAMS_OWN_WORKERS: Final = ("direct_num_workers", "direct_running_mode")

_INSTALL: Final = "install it as docs/engines.md says"


def check(engine: Engine, locations: Iterable[str]) -> None:
    """Refuse an engine that cannot do the job.

    Args:
      locations: everything that is read and written: the sources and the root.

    Raises:
      ConfigError: an option or a program is missing, an endpoint does not answer, or remote workers
        cannot see a location.
    """
    _check_options(engine)
    _check_programs(engine)
    if engine.has_remote_workers and not engine.shares_disk:
        for uri in locations:
            _check_shared(uri, engine)
    for option, address in addresses(engine):
        _check_answers(address, option=option, engine=engine)


def addresses(engine: Engine) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield the servers that must run already, each with the option that names it."""
    server = _server(engine)
    if server:
        yield server
    if engine.text("environment_type").upper() == "EXTERNAL":
        pool = _address(engine.text("environment_config"), option="environment_config")
        # The engine connects to it: localhost is then the engine's own machine.
        if not (server and _is_here(pool) and not _is_here(server[1])):
            yield "environment_config", pool


def _server(engine: Engine) -> tuple[str, tuple[str, int]] | None:
    if endpoint := engine.text("job_endpoint"):
        return "job_endpoint", _address(endpoint, option="job_endpoint")
    if engine.is_on_flink_cluster:
        return "flink_master", _address(engine.text("flink_master"), option="flink_master")
    return None


def _check_options(engine: Engine) -> None:
    needed: tuple[str, ...] = ()
    if engine.name == "portable":
        needed = ("job_endpoint",)
    elif engine.name == "dataflow":
        needed = _DATAFLOW_NEEDS
    missing = [option for option in needed if not engine.text(option)]
    if missing:
        options = " ".join(f"--beam-option {option}=..." for option in missing)
        raise ConfigError(
            f"the runner {engine.name} needs {', '.join(missing)}: add {options}, "
            "or a file of settings"
        )
    for option in _BEAMS_OWN_WORKERS:
        if engine.name == "local" and option in engine.options:
            # Beam's own workers listen on all interfaces, and with apache-beam 2.77 the job waits
            # endlessly for a worker process that was killed.
            raise ConfigError(
                f"the local runner converts in threads of its own: leave {option} out and say how "
                "many by --workers, or choose the runner prism or flink"
            )
    if engine.template and engine.name != "dataflow":
        raise ConfigError(f"only the runner dataflow writes a template, not {engine.name}")
    for option in ("temp_location", "staging_location", "template_location"):
        location = engine.text(option)
        if engine.name == "dataflow" and location and not location.startswith("gs://"):
            raise ConfigError(f"Dataflow needs a gs:// location as {option}, got {location!r}")


def _check_programs(engine: Engine) -> None:
    """Check the programs that Beam would start itself, or download if they are missing."""
    if engine.text("job_endpoint"):
        return
    if engine.name == "prism":
        binary = engine.text("prism_location")
        if "://" not in binary and not shutil.which(binary):
            raise ConfigError(
                f"there is no program {binary or 'prism'}: {_INSTALL}, or name it by "
                "--beam-option prism_location=PATH"
            )
    if engine.name == "flink":
        jar = engine.text("flink_job_server_jar")
        if not shutil.which(engine.text("job_server_java_launcher") or "java"):
            raise ConfigError("Flink's job server needs Java, and there is no program java")
        if "://" not in jar and not Path(jar).is_file():
            raise ConfigError(
                f"there is no job server {jar or 'jar'}: {_INSTALL}, name it by --beam-option "
                "flink_job_server_jar=PATH, or name one that runs by --job-endpoint HOST:PORT"
            )


def _check_shared(uri: str, engine: Engine) -> None:
    if storage.local_path(uri) is None and not uri.startswith("memory://"):
        return
    raise ConfigError(
        f"the workers of {engine.name} are other processes, which may not see {uri}: name an "
        "object store (s3://bucket/prefix), or set shares_disk = true in the engine's settings if "
        "they see the files of this machine"
    )


def _address(text: str, *, option: str) -> tuple[str, int]:
    found = urlsplit(text if "://" in text else f"//{text}")
    try:
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ConfigError(f"expected HOST:PORT as {option}, got {text!r}")
    return host, port


def _is_here(address: tuple[str, int]) -> bool:
    return address[0] in loopback.NAMES


def _check_answers(address: tuple[str, int], *, option: str, engine: Engine) -> None:
    host, port = address
    try:
        with socket.create_connection(address, timeout=_ANSWER_SEC):
            return
    except OSError as err:
        raise ConfigError(
            f"nothing answers at {host}:{port}, the {option} of the runner {engine.name}: start "
            f"it, or name another one ({err.strerror or err})"
        ) from err
