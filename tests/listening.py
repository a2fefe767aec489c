"""Which sockets processes listen on, looked at again and again while they run."""

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil


@dataclass
class Listeners:
    """What a process and those that it started listened on so far.

    Attributes:
      found: program and address of each socket.
    """

    found: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def exposed(self) -> set[tuple[str, str, int]]:
        """Those that other machines reach."""
        return {listener for listener in self.found if not _is_loopback(listener[1])}

    def look(self, process: psutil.Process) -> None:
        """Add what a process and all below it listen on now."""
        try:
            for one in (process, *process.children(recursive=True)):
                name = one.name()
                for socket in one.net_connections(kind="tcp"):
                    if socket.status == psutil.CONN_LISTEN:
                        self.found.add((name, *socket.laddr))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return  # it has just ended


@contextmanager
def listeners(pid: int, *, every_sec: float = 0.02) -> Iterator[Listeners]:
    """Look at a process and those that it starts while the block runs."""
    found, ended, process = Listeners(), threading.Event(), psutil.Process(pid)

    def watch() -> None:
        while not ended.wait(every_sec) and process.is_running():
            found.look(process)

    watcher = threading.Thread(target=watch, name="listeners", daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()


def _is_loopback(address: str) -> bool:
    known = ipaddress.ip_address(address)
    # Java writes 127.0.0.1 as an address of IPv6.
    return (getattr(known, "ipv4_mapped", None) or known).is_loopback
