"""An HTTP proxy that fails as networks and object stores do, by a plan that a seed repeats."""

import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Literal
from urllib.parse import urlsplit


class Fault(Enum):
    """What happens to one request."""

    UNAVAILABLE = auto()  # 503 without a word that S3 would say
    SLOW_DOWN = auto()  # 503 as S3 throttles
    INTERNAL = auto()  # 500
    CONFLICT = auto()  # 409, as S3 answers conditional puts that meet
    RESET = auto()  # the connection breaks before the server knows of the request
    LOST = auto()  # the server carries it out, and the connection breaks before the reply
    CUT = auto()  # the connection breaks in the middle of the reply
    SHORT = auto()  # the reply ends in the middle and claims to be whole
    STALL = auto()  # the request is taken and nothing comes back
    HALF = auto()  # the reply stops in the middle, and the connection stays
    DEAF = auto()  # the body of the request is never taken


Plan = Callable[[str, str, int], Fault | None]
"""Method, target and number of earlier requests for the same, to what happens."""


def never(method: str, target: str, nth: int) -> Fault | None:
    """Forwards everything."""
    del method, target, nth
    return None


def first(method: str, fault: Fault, *, part: str = "", times: int = 1) -> Plan:
    """The first so many requests for each target that contains `part`."""

    def plan(method_: str, target: str, nth: int) -> Fault | None:
        return fault if method_ == method and part in target and nth < times else None

    return plan


def seeded(seed: int, *, share: float) -> Plan:
    """A share of all requests, but none of the third and later ones for a target.

    Which ones does not depend on the order in which threads ask.
    """
    # What costs a timeout is rarer.
    kinds = [kind for kind in Fault for _ in range(1 if kind in SLOW else 10)]

    def plan(method: str, target: str, nth: int) -> Fault | None:
        chance = random.Random(f"{seed} {method} {target} {nth}")  # noqa: S311 - a plan, no secret
        return chance.choice(kinds) if nth < 2 and chance.random() < share else None

    return plan


SLOW = (Fault.STALL, Fault.HALF, Fault.DEAF)
"""What is noticed by a timeout only."""


class Proxy(ThreadingHTTPServer):
    """Forwards to one server, except what the plan spoils.

    Attributes:
      plan: may be replaced at any time.
      num_flips: of the next whole objects that are read, one bit differs from what is stored.
      flip: from a target, its number of earlier requests and the length of the reply, the byte of
        it that differs by one bit; None for none.
      conditions: what becomes of If-None-Match, which some servers ignore and others do not take.
      seen: method, target and fault of each request.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.plan: Plan = never
        self.conditions: Literal["honoured", "ignored", "not taken"] = "honoured"
        self.num_flips = 0
        self.flip: Callable[[str, int, int], int | None] = lambda target, nth, length: None
        self.seen: list[tuple[str, str, Fault | None]] = []
        self.closing = Event()
        self._lock = Lock()
        self._counts = Counter[tuple[str, str]]()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def faults(self) -> Counter[Fault]:
        """What has happened how often."""
        return Counter(fault for _, _, fault in self.seen if fault)

    def fault(self, method: str, target: str) -> tuple[Fault | None, int]:
        """What the plan says of this request, and how many there were for the same before."""
        with self._lock:
            nth = self._counts[method, target]
            self._counts[method, target] += 1
            fault = self.plan(method, target, nth)
            self.seen.append((method, target, fault))
            return fault, nth

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection without a word first, so that a reset is one."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    _fault: Fault | None
    _target: str
    _nth: int

    def handle_expect_100(self) -> bool:
        self._choose()
        if self._fault is Fault.DEAF:
            return self._hang()
        return super().handle_expect_100()

    def _serve(self) -> None:
        if not self.headers.get("Expect"):
            self._choose()
        length = int(self.headers.get("Content-Length") or 0)
        if self._fault is Fault.RESET:
            self.rfile.read(length // 2)
            self._break()
            return
        body = self.rfile.read(length)
        answer = {
            Fault.UNAVAILABLE: (503, b"<html>no server is available</html>"),
            Fault.SLOW_DOWN: (503, _error("SlowDown", "Please reduce your request rate.")),
            Fault.INTERNAL: (500, _error("InternalError", "We encountered an internal error.")),
            Fault.CONFLICT: (409, _error("ConditionalRequestConflict", "A conflict occurred.")),
        }.get(self._fault)  # type: ignore[arg-type] # None is no key, and gets None
        if answer:
            self._reply(answer[0], {"Content-Type": "application/xml"}, answer[1])
        elif self._fault in (Fault.STALL, Fault.DEAF):
            self._hang()
        else:
            self._forward(body)

    def do_DELETE(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _forward(self, body: bytes) -> None:
        headers = {key: value for key, value in self.headers.items() if key != "Expect"}
        if self.server.conditions == "not taken" and "If-None-Match" in headers:
            self._reply(501, {}, _error("NotImplemented", "A header is not implemented."))
            return
        if self.server.conditions == "ignored":
            headers.pop("If-None-Match", "")
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        try:
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            content = response.read()
        finally:
            upstream.close()
        if self._fault is Fault.LOST:
            self._break()
            return
        if self.command == "GET" and "Range" not in self.headers and self.server.num_flips:
            self.server.num_flips -= 1
            # In the middle, where a shard has samples; not all of its footer matters.
            middle = len(content) // 2
            flipped = bytes([content[middle] ^ 1])
            content = content[:middle] + flipped + content[middle + 1 :]
        if self.command == "GET" and content:
            at = self.server.flip(self._target, self._nth, len(content))
            if at is not None:
                content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        kept = _kept(response)
        if "Range" in self.headers:
            # S3 has no checksum of a part; moto makes one.
            kept = {k: v for k, v in kept.items() if not k.lower().startswith("x-amz-checksum-")}
        self._reply(response.status, kept, content)

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        half = len(content) // 2
        sent = content[:half] if self._fault in (Fault.SHORT, Fault.CUT, Fault.HALF) else content
        claimed = sent if self._fault is Fault.SHORT else content
        self.send_response(status)
        if self.command != "HEAD":
            headers["Content-Length"] = str(len(claimed))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        if self._fault is Fault.CUT:
            self._break()
        if self._fault is Fault.HALF:
            self._hang()

    def _choose(self) -> None:
        self._target = f"{self.path} {self.headers.get('Range', '')}"
        self._fault, self._nth = self.server.fault(self.command, self._target)
        if self._fault is Fault.SHORT and "Range" not in self.headers:
            # Nobody can tell a short object from a whole one, or needs to: nothing makes those.
            self._fault = Fault.CUT
        if self._fault is Fault.CONFLICT and self.command != "PUT":
            self._fault = Fault.UNAVAILABLE

    def _break(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def _hang(self) -> bool:
        self.server.closing.wait(60)
        self.close_connection = True
        return False

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Nothing: tests read `Proxy.seen`."""


def _kept(response: HTTPResponse) -> dict[str, str]:
    dropped = ("transfer-encoding", "connection", "date", "server")
    return {key: value for key, value in response.getheaders() if key.lower() not in dropped}


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[Proxy]:
    """A running proxy."""
    with Proxy(upstream) as proxy:
        Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield proxy
        proxy.closing.set()
        proxy.shutdown()
