"""Serves the reports of runs and the page over all runs to the browsers of this machine, no more.

A page of the server cannot link to a file, so the summary of a run links here:
http://127.0.0.1:4201/ and the report's path or URI. The page over all runs is at the root's path
or URI and /index.html, and what it links to is found from there.
"""

import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

from pipelines import storage
from pipelines.errors import PipelineError

_OF_RUN: Final = re.compile(r"/.+/runs/[0-9a-f]{16}/(report\.html|report\.md|metrics\.json)")
_OF_ROOT: Final = re.compile(r"/.+/index\.html")

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    # Browsers show plain text, and save what is called Markdown.
    "md": "text/plain; charset=utf-8",
    "json": "application/json",
}


class Reports(BaseHTTPRequestHandler):
    """Answers with the page that a path names."""

    def do_GET(self) -> None:
        """Reads a page from wherever it is stored."""
        path = unquote(self.path)
        uri = path.removeprefix("/") if "://" in path else path
        try:
            if not is_served(path, uri):
                self.send_error(HTTPStatus.NOT_FOUND, "Only reports of runs are served here")
                return
            page = storage.read(uri)
        except (PipelineError, OSError):
            self.send_error(HTTPStatus.NOT_FOUND, "There is no such report")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", _TYPES[uri.rpartition(".")[2]])
        self.send_header("Content-Length", str(len(page)))
        self.send_header("X-Content-Type-Options", "nosniff")
        # A report needs no script and no other file.
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(page)


def is_served(path: str, uri: str) -> bool:
    """Whether a path names what a run or a root of runs has to show.

    Args:
      path: of the request.
      uri: where that is stored.
    """
    if _OF_RUN.fullmatch(path):
        return True
    # Another page of that name is nobody's business.
    return bool(_OF_ROOT.fullmatch(path)) and bool(
        storage.list_folders(storage.join(storage.parent(uri), "runs"))
    )


def serve(port: int, host: str = "127.0.0.1") -> None:
    """Serves until the process is ended; another host is for a container's own network."""
    with ThreadingHTTPServer((host, port), Reports) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
