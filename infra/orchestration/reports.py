"""Serves the reports of runs to the browsers of this machine, and nothing else.

A page of the server cannot link to a file, so the summary of a run links here:
http://127.0.0.1:4201/ and the report's path or URI.
"""

import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import unquote

from pipelines import storage
from pipelines.errors import PipelineError

_REPORT: Final = re.compile(r"/.+/runs/[0-9a-f]{16}/report\.html")


class Reports(BaseHTTPRequestHandler):
    """Answers with the report that a path names."""

    def do_GET(self) -> None:
        """Reads a report from wherever it is stored."""
        path = unquote(self.path)
        if not _REPORT.fullmatch(path):
            self.send_error(HTTPStatus.NOT_FOUND, "Only reports of runs are served here")
            return
        try:
            page = storage.read(path.removeprefix("/") if "://" in path else path)
        except (PipelineError, OSError):
            self.send_error(HTTPStatus.NOT_FOUND, "There is no such report")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        # A report needs no script and no other file.
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(page)


def serve(port: int, host: str = "127.0.0.1") -> None:
    """Serves until the process is ended; another host is for a container's own network."""
    with ThreadingHTTPServer((host, port), Reports) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])
