"""Serve the reports below the given roots to the browsers of this machine.

A page of the server cannot link to a file, so the summary of a run links here:
http://127.0.0.1:4201/ and the report's path or URI. The page of all runs is at the root's path
or URI and /index.html, and its links are relative to that.
"""

import re
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Timer
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from pipelines import storage
from pipelines.errors import ConfigError, PipelineError

_BELOW_ROOT: Final = re.compile(
    r"index\.html|runs/[0-9a-f]{16}/(?:report\.html|report\.md|metrics\.json)"
)

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    # Browsers show plain text, and save what is called Markdown.
    "md": "text/plain; charset=utf-8",
    "json": "application/json",
}

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # A report needs no script, no other file, and no place in another page.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address holds a path of this machine.
    "Referrer-Policy": "no-referrer",
}

_NAMES: Final = ("127.0.0.1", "localhost", "::1")


class ReportServer(ThreadingHTTPServer):
    """A server of the reports below some roots.

    Args:
      roots: as `served_root` has them.
      deadline_sec: after which a connection is cut, whatever it does.
      idle_sec: how long a connection may be silent before its request is complete.
      num_connections: how many are answered at a time; further ones wait.
    """

    def __init__(
        self,
        address: tuple[str, int],
        roots: Sequence[str],
        *,
        deadline_sec: float = 60.0,
        idle_sec: float = 10.0,
        num_connections: int = 16,
    ) -> None:
        self.roots = tuple(roots)
        self.idle_sec = idle_sec
        self._deadline_sec = deadline_sec
        self._places = BoundedSemaphore(num_connections)
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for a place, then answer in a thread."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection within the deadline."""

        def cut() -> None:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

        timer = Timer(self._deadline_sec, cut)
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is wrong here; that a browser broke off is not."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(cast("ReportServer", self.server).idle_sec)

    def do_GET(self) -> None:
        """Answer with the page that the path names."""
        # From here on the deadline of the connection holds alone.
        self.connection.settimeout(None)
        # Any page may be called by a name that leads here; of this machine only these do.
        if not _is_own(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "Ask for 127.0.0.1 or localhost")
            return
        try:
            page = read_page(self.path, cast("ReportServer", self.server).roots)
        except (PipelineError, OSError):
            page = None
        if page is None:
            self.send_error(
                HTTPStatus.NOT_FOUND,
                "There is no such report",
                "Reports below the root of `make up` and those of NSYNTH_REPORT_ROOTS are served.",
            )
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES[self.path.rpartition(".")[2]])
        self.send_header("Content-Length", str(len(page)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page)


def served_root(root: str) -> str:
    """Return a root as requests are compared with it: an absolute path or a plain URI.

    Raises:
      ConfigError: it holds credentials, or is a chain of locations or one of the web.
    """
    absolute = storage.absolute(root)
    is_web = absolute.lower().startswith(("http:", "https:"))
    if "::" in absolute or is_web or ("://" in absolute and "?" in absolute):
        raise ConfigError(
            f"reports cannot be served from {root}; name a folder, or a URI such as "
            "s3://bucket/prefix without `::` and `?`"
        )
    return absolute


def read_page(path: str, roots: Sequence[str]) -> bytes | None:
    """Return what is stored at a path of a request, None where that is not to be served.

    Args:
      path: as the browser sent it, quoted, with its query.
      roots: as `served_root` has them.

    Raises:
      OSError: it cannot be read.
    """
    if "?" in path:
        return None
    location = unquote(path)
    if "://" in location:
        location = location.removeprefix("/").removeprefix("file://")
    for root in roots:
        folder = f"{root}/"
        if location.startswith(folder) and _BELOW_ROOT.fullmatch(location.removeprefix(folder)):
            return _read(location, root)
    return None


def _read(location: str, root: str) -> bytes | None:
    if "://" in location:
        return storage.read(location)
    # Links within a root may lead to each other, and not out of it.
    file = Path(location).resolve(strict=True)
    is_inside = file.is_relative_to(Path(root).resolve())
    return file.read_bytes() if is_inside and file.is_file() else None


def _is_own(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _NAMES
    except ValueError:
        return False


def main() -> None:
    """Serve until the process is ended; another host is for a container's own network."""
    parser = ArgumentParser(prog="python -m infra.orchestration.report_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--more", default="", help="further roots, separated by commas")
    parser.add_argument("root", nargs="+")
    arguments = parser.parse_args()
    roots = [*arguments.root, *filter(None, arguments.more.split(","))]
    with ReportServer(
        (arguments.host, arguments.port), [served_root(root) for root in roots]
    ) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
