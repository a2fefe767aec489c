"""Ctrl-C: one sentence and exit code 130 within seconds, whatever the command is doing.

A signal raises an exception in the work, which cancels remote jobs and informs a Prefect server.
That does not end everything: a library may stay in C code, swallow the exception or wait for
threads of its own. If the work has not ended after some seconds, the process exits at once, which
is safe at any moment: stored files are always complete, and the next run goes on from there.
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

# Limits for the work to end. On another machine there is a job to cancel.
LOCAL_SEC: Final = 3.0
ENGINE_SEC: Final = 30.0

_STOPPED: Final = "stopped; run the same command again to go on where it stopped"
# Shows the cursor again, which progress bars hide.
_CURSOR: Final = "\x1b[?25h"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_CODE: Final = 130


class Interrupts:
    """Signal handling of this process, from `take_over` to its end.

    Attributes:
      grace_sec: time that the work has to end; 0 while there is none, as in the first imports.
      endings: functions that end what is neither this process nor a child of it.
    """

    def __init__(self) -> None:
        """Leave the signals as they are until `take_over`."""
        self.grace_sec = 0.0
        self.endings: list[Callable[[], None]] = []
        self._is_stopping = False
        # Reentrant, for a second signal in the thread that leaves already.
        self._leaving = threading.RLock()
        self._wakeup: socket.socket | None = None

    def take_over(self) -> None:
        """Handle the signals, except one that the caller ignores, as `&` in a script does."""
        woken, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        taken = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        for number in taken:
            signal.signal(number, self._stop)
        # The main thread runs a handler only between two steps of Python; `_watch` wakes at once.
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        watch = threading.Thread(target=self._watch, args=(woken, set(taken)), daemon=True)
        watch.start()
        sys.unraisablehook = _unless_stopped

    @contextmanager
    def working(self, *, grace_sec: float) -> Iterator[None]:
        """Give the work of this block `grace_sec` seconds to end after a signal."""
        self.grace_sec = grace_sec
        try:
            yield
        finally:
            # Only the end of the process follows, which may be left at once.
            self.grace_sec = 0.0

    def fail(self, reason: str) -> NoReturn:
        """End everything at once, from any thread, since the work cannot go on."""
        self.leave(f"{reason}; run the same command again to go on where it stopped", code=1)

    def leave(self, sentence: str = _STOPPED, *, code: int = _CODE) -> NoReturn:
        """End this process, its children and all that `endings` end."""
        if not self._leaving.acquire(blocking=False):
            time.sleep(60)  # another thread ends this process
        for number in _SIGNALS:
            with suppress(ValueError):  # a thread other than the main one
                signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):
            os.write(2, f"{_CURSOR if os.isatty(2) else ''}nsynth: {sentence}\n".encode())
            _mute()
        for end in self.endings:
            end()
        _kill_children()
        os._exit(code)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_stopping or not self.grace_sec:
            self.leave()
        self._is_stopping = True
        raise KeyboardInterrupt

    def _watch(self, woken: socket.socket, taken: set[int]) -> None:
        while woken.recv(1)[0] not in taken:
            pass
        time.sleep(self.grace_sec)
        self.leave()


INTERRUPTS: Final = Interrupts()


def _mute() -> None:
    """Discard all further output: the thread of a progress bar goes on for a moment."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)


def _kill_children() -> None:
    import psutil  # noqa: PLC0415 - this module is imported before all slow ones

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(children, timeout=1)


def _unless_stopped(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ignore an interrupt that arrived where Python cannot raise it; `_watch` has seen it."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
