"""Keeps an engine's own lines and signals out of the way of ours."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

_SERVERS: Final = ("FlinkJarJobServer", "PrismJobServer")
"""What Beam calls the loggers of the job servers that it starts."""


def silence() -> None:
    """Keeps the engines' own lines from the user.

    They are of stages and state caches, and the traceback of an error, several times, that the
    submitter raises in one sentence.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    for server in _SERVERS:
        logging.getLogger(server).propagate = False
        logging.getLogger(server).addHandler(logging.NullHandler())
    # A job's messages go to the root logger.
    logging.getLogger().addFilter(_is_not_beams)
    # What a thread of theirs fails of, the main one raises.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _of_a_thread


@contextmanager
def own_interrupts() -> Iterator[None]:
    """Takes Ctrl-C back from Beam, which stops a job server before its job could be cancelled."""
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
