"""What the set-up says of a server that is none, or not ours."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from infra.orchestration.api import Api
from pipelines.errors import ConfigError


class Page(BaseHTTPRequestHandler):
    """Answers each request with a page, as a router or another program does."""

    def do_GET(self) -> None:
        status = 401 if self.path.endswith("/locked") else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<h1>router</h1>")


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_page_is_no_answer(url: str) -> None:
    with pytest.raises(ConfigError, match=f"{url} is not a Prefect server"):
        Api(url).get("variables")


def test_password_that_does_not_fit_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="set PREFECT_API_AUTH_STRING") as refused:
        Api(url, "me:sesame").get("locked")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "nonsense", "http://[", "ftp://host/"])
def test_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="PREFECT_API_URL"):
        Api(url).get("variables")


def test_proxy_is_not_asked_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Api(url).is_healthy()
