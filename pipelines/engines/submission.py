"""Quiet logs, working interrupts and cancelled Flink jobs on the side of the submitter."""

import json
import logging
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc

# Beam's names for the loggers of the job servers that it starts.
_SERVERS: Final = ("FlinkJarJobServer", "PrismJobServer")

_ANSWER_SEC: Final = 10.0
log = logging.getLogger(__name__)


def silence_beam() -> None:
    """Hide the engines' own log lines.

    They are about stages and state caches, and repeat the traceback of an error that the submitter
    raises in one sentence.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    for server in _SERVERS:
        logging.getLogger(server).propagate = False
        logging.getLogger(server).addHandler(logging.NullHandler())
    # A job's messages are logged by the root logger.
    logging.getLogger().addFilter(_is_not_beams)
    # The main thread raises what makes one of their threads fail.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _of_a_thread


@contextmanager
def keep_interrupts() -> Iterator[None]:
    """Restore the Ctrl-C handler after Beam, whose own stops a job server before its job."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _of_a_thread(args: threading.ExceptHookArgs) -> None:
    if not isinstance(args.exc_value, grpc.RpcError):
        threading.__excepthook__(args)


def _is_not_beams(record: logging.LogRecord) -> bool:
    return "apache_beam" not in record.pathname


def cancel_job(master: str, name: str) -> None:
    """Cancel the job of a name on a cluster.

    Beam's job server only stops waiting for a batch job that it is asked to cancel.

    Args:
      master: HOST:PORT or URL of the cluster's REST interface.

    Source: the REST interface of Flink 1.19, `GET /jobs/overview` and `PATCH /jobs/:jobid`.
    """
    url = master if "://" in master else f"http://{master}"
    try:
        overview = _ask(f"{url}/jobs/overview")
        for job in overview["jobs"]:
            if job["name"] == name and job["state"] not in ("FINISHED", "FAILED", "CANCELED"):
                _ask(f"{url}/jobs/{job['jid']}?mode=cancel", method="PATCH")
                log.info("cancelled the job %s on %s", name, master)
    except (urllib.error.URLError, OSError, ValueError, KeyError) as err:
        log.warning(
            "the job %s on %s may go on, since it could not be cancelled: %s", name, master, err
        )


def _ask(url: str, *, method: str = "GET") -> Any:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the user's own cluster
    with urllib.request.urlopen(request, timeout=_ANSWER_SEC) as answer:  # noqa: S310 - as above
        return json.loads(answer.read() or "{}")
