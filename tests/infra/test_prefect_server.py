"""What the set-up says of a server that is none, or not ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from prefect.context import get_settings_context
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from infra.prefect_server import check_server, connect, is_healthy
from pipelines.errors import ConfigError


class Page(BaseHTTPRequestHandler):
    """Answers each request with a page, as a router or another program does."""

    num_busy = 0

    def do_GET(self) -> None:
        status = {"locked": 401, "lacking": 404}.get(self.path.rpartition("/")[2], 200)
        if self.path.endswith("/busy") and Page.num_busy:
            Page.num_busy -= 1
            status = 503
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(b"<h1>router</h1>")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The PREFECT_API_URL of a server of this handler."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Page) as url:
        yield url


def test_page_is_no_answer(url: str) -> None:
    with pytest.raises(ConfigError, match=f"{url} is not a Prefect server"), connect(url) as client:
        client.read_work_pool("nsynth")


def test_password_that_does_not_fit_is_said(url: str) -> None:
    with (
        pytest.raises(ConfigError, match="set PREFECT_API_AUTH_STRING") as refused,
        connect(url, "me:sesame") as client,
    ):
        client.read_work_pool("locked")
    assert "sesame" not in str(refused.value)


def test_thing_that_the_server_lacks_is_said(url: str) -> None:
    sentence = f"{url} refused GET /api/work_pools/lacking: <h1>router</h1>"
    with pytest.raises(ConfigError, match=sentence), connect(url) as client:
        client.read_work_pool("lacking")


def test_busy_server_is_asked_again(url: str) -> None:
    Page.num_busy = 1
    with pytest.raises(ConfigError, match="not a Prefect server"), connect(url) as client:
        client.read_work_pool("busy")
    assert Page.num_busy == 0


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/api", "nonsense", "http://[", "ftp://host/", "http://127.0.0.1:99999999/"],
)
def test_server_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match="PREFECT_API_URL"), connect(url) as client:
        client.read_work_pool("nsynth")
    assert not is_healthy(url)


def test_proxy_is_not_asked_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "example.org")
    assert is_healthy(url)
    with pytest.raises(ConfigError, match="not a Prefect server"), connect(url) as client:
        client.read_work_pool("nsynth")


def test_user_of_a_profile_has_no_say(url: str) -> None:
    others = {PREFECT_API_URL: "http://127.0.0.1:1/api", PREFECT_API_AUTH_STRING: "me:other"}
    with temporary_settings(others), connect(url) as client:
        assert str(client.api_url).startswith(url)
        assert "authorization" not in client._client.headers


@contextmanager
def almost_prefect(answers: dict[str, tuple[int, str]], *, otherwise: int) -> Iterator[str]:
    """A server that is not quite one of Prefect's."""

    class Almost(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answers.get(self.path, (otherwise, "<html>"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - as above

    with serving(Almost) as url:
        yield url


def refused(url: str) -> str:
    """The sentence on a server that the settings name and that cannot be used."""
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(ConfigError) as caught:
        check_server(get_settings_context())
    return str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/api", "http://", "127.0.0.1:4200/api"])
def test_url_that_is_none(url: str) -> None:
    assert f"got '{url}'" in refused(url).replace("got 'http:'", "got 'http://'")


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/api", "http://no-such-host.invalid/api"])
def test_url_that_leads_nowhere(url: str) -> None:
    assert f"the Prefect server at {url}" in refused(url)


@pytest.mark.parametrize(
    ("answers", "otherwise", "expected"),
    [
        ({}, 401, "it wants a password (401)"),
        ({}, 403, "it answers 403 to /api/admin/version"),
        ({}, 404, "it answers 404 to /api/admin/version"),
        ({}, 503, "it answers 503 to /api/admin/version"),
        ({}, 200, "its answer is not that of a Prefect server"),
        ({"/api/admin/version": (200, '"2.20.1"')}, 404, "incompatible versions"),
        ({"/api/admin/version": (200, '"4.0.0"')}, 404, "incompatible versions"),
        ({"/api/admin/version": (200, '"3.9.0"')}, 500, "it answers 500 to "),
    ],
)
def test_server_that_does_not_serve(
    answers: dict[str, tuple[int, str]], otherwise: int, expected: str
) -> None:
    with almost_prefect(answers, otherwise=otherwise) as url:
        sentence = refused(url)
    assert f"the Prefect server at {url}" in sentence
    assert expected in sentence
