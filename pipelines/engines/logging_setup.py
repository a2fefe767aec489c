"""Keep the log lines and signal handlers of engines away from those of the caller."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

_SERVERS: Final = ("FlinkJarJobServer", "PrismJobServer")


def silence_engines() -> None:
    """Hide the engines' own log lines.

    They are about stages and state caches, and repeat the traceback of an error that the submitter
    raises in one sentence.
    """
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    for server in _SERVERS:
        logging.getLogger(server).propagate = False
        logging.getLogger(server).addHandler(logging.NullHandler())
    # A job's messages go to the root logger.
    logging.getLogger().addFilter(_is_not_beams)
    # The main thread raises what makes one of their threads fail.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _of_a_thread


@contextmanager
def keep_interrupt_handler() -> Iterator[None]:
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
