"""Ctrl-C: one sentence and exit code 130 within seconds, whatever the command is doing.

A signal is an exception in the work, which ends jobs elsewhere and says so to a Prefect server. Not
everything can be ended so: a library may be in C code for long, swallow the exception or wait for
threads of its own. What has not ended after some seconds is left at once, which is safe at any
moment: what is stored is always whole, and the next run goes on from there.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

LOCAL_SEC: Final = 3.0
ENGINE_SEC: Final = 30.0
"""How long the work may take to end: on another machine there is a job to cancel."""

_STOPPED: Final = "stopped; run the same command again to go on where it stopped"
_CURSOR: Final = "\x1b[?25h"
"""Shows it again: progress bars hide it."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_CODE: Final = 130


class Interrupts:
    """What a signal does to this process, from `take_over` to its end.

    Attributes:
      grace_sec: how long work may take to end; 0 while there is none, as in the first imports.
      endings: what has to be ended beside this process and its children.
    """

    def __init__(self) -> None:
        """Leave the signals as they are until `take_over`."""
        self.grace_sec = 0.0
        self.endings: list[Callable[[], None]] = []
        self._is_stopping = False
        # Reentrant, for a second signal in the thread that leaves already.
        self._leaving = threading.RLock()
        self._wakeup = socket.socketpair()

    def take_over(self) -> None:
        """Take the signals, but for one that the caller ignores, as `&` in a script does."""
        _, wakeup = self._wakeup
        wakeup.setblocking(False)
        taken = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        for number in taken:
            signal.signal(number, self._stop)
        # The main thread runs a handler between two steps of Python only; `_watch` hears at once.
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        watch = threading.Thread(target=self._watch, args=(set(taken),), daemon=True)
        watch.start()
        sys.unraisablehook = _unless_stopped

    @contextmanager
    def working(self, *, grace_sec: float) -> Iterator[None]:
        """Give the work of this block some time to end."""
        self.grace_sec = grace_sec
        try:
            yield
        finally:
            # What comes after is the end of the process, which may be left at once.
            self.grace_sec = 0.0

    def fail(self, reason: str) -> NoReturn:
        """End all at once, from any thread, since the work cannot go on."""
        self.leave(f"{reason}; run the same command again to go on where it stopped", code=1)

    def leave(self, sentence: str = _STOPPED, *, code: int = _CODE) -> NoReturn:
        """End this process, its children and all else that is to be ended."""
        if not self._leaving.acquire(blocking=False):
            time.sleep(60)  # another thread ends this process
        for number in _SIGNALS:
            with suppress(ValueError):  # a thread other than the main one
                signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):
            os.write(2, f"{_CURSOR if os.isatty(2) else ''}nsynth: {sentence}\n".encode())
            _say_no_more()
        for end in self.endings:
            end()
        _kill_children()
        os._exit(code)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_stopping or not self.grace_sec:
            self.leave()
        self._is_stopping = True
        raise KeyboardInterrupt

    def _watch(self, taken: set[int]) -> None:
        while self._wakeup[0].recv(1)[0] not in taken:
            pass
        time.sleep(self.grace_sec)
        self.leave()


INTERRUPTS: Final = Interrupts()


def _say_no_more() -> None:
    """Let nothing come after the last sentence: a progress bar's thread goes on for a moment."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)


def _kill_children() -> None:
    import psutil  # noqa: PLC0415 - this module comes before all imports that take time

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(children, timeout=1)


def _unless_stopped(unraisable: "sys.UnraisableHookArgs") -> None:
    """Leave out an interrupt that arrived where Python cannot raise it; it is not lost."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
