"""Servers that answer, and not as a store or a file does: each is one sentence."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from pipelines import storage
from pipelines.errors import ConfigError

PAGE = (200, "text/html; charset=utf-8", b"<html>sign in</html>")
ANSWERS = {
    "page": PAGE,
    "json": (200, "application/json", b"{}"),
    "redirect": (301, "application/xml", b"<Error><Code>PermanentRedirect</Code></Error>"),
    "temporary redirect": (
        307,
        "application/xml",
        b"<Error><Code>TemporaryRedirect</Code></Error>",
    ),
    "region": (
        400,
        "application/xml",
        b"<Error><Code>AuthorizationHeaderMalformed</Code>"
        b"<Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>",
    ),
    "401": (401, "text/html", b"<html>who are you</html>"),
    "403": (403, "text/html", b"<html>no</html>"),
    "404": (404, "text/html", b"<html>not here</html>"),
    "418": (418, "text/html", b"<html>no coffee</html>"),
    "500": (500, "text/html", b"<html>broken</html>"),
}


class Server(ThreadingHTTPServer):
    """Gives one answer to every request."""

    daemon_threads = True
    answer = PAGE

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, kind, content = self.server.answer
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Nothing."""


@pytest.fixture
def server(changing_s3: None, impatient: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", "2")
    monkeypatch.setenv("NSYNTH_STORAGE_TIMEOUT_SEC", "30")
    with Server(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


Call = Callable[[str], object]
CALLS: dict[str, Call] = {
    "identity": storage.identity,
    "read": storage.read,
    "read_range": lambda uri: storage.read_range(uri, 0, 9),
    "check_exists": storage.check_exists,
    "check_writable": storage.check_writable,
}
WITHOUT_A_LOOK_BEFORE = {"sizes": storage.sizes, "put": lambda uri: storage.put(uri, b"content")}
"""What a web page is taken for a reply to: commands call one of the checks above first."""
NOT_S3 = "does not answer as S3 does; check AWS_ENDPOINT_URL|AWS_ENDPOINT_URL name an S3 server?"
EXPECTED = {
    "page": f"{NOT_S3}|does not serve parts of files",
    "redirect": "sends elsewhere and does not say where: bucket 'bucket' is in another region",
    "temporary redirect": "sends elsewhere and does not say where: bucket 'bucket' is in another",
    "region": "refused the request .*; check AWS_ENDPOINT_URL, the region and the credentials",
    "401": "no credentials for s3://bucket/x",
    "403": "cannot use s3://bucket/x.*: Forbidden; check the path",
    "404": "there is no s3://bucket/x.*; check the key and the bucket",
    "418": "refused the request",
    "500": "failed 2 times: .*a web page that came: does AWS_ENDPOINT_URL name an S3 server",
}


# Answers to HEAD have no content, so both a HEAD and a GET get each answer; the other calls share
# their way to the sentence.
PAIRS = [
    *((answer, name) for answer in EXPECTED for name in ("identity", "read")),
    *((answer, name) for answer in ("page", "403", "500") for name in CALLS),
]


@pytest.mark.parametrize(("answer", "name"), dict.fromkeys(PAIRS))
def test_a_server_that_is_not_s3_is_one_sentence(server: Server, answer: str, name: str) -> None:
    check(server, answer, CALLS[name])


def check(server: Server, answer: str, call: Call) -> None:
    server.answer = ANSWERS[answer]
    kinds = (ConfigError, ConnectionError) if answer in ("page", "500") else ConfigError
    with pytest.raises(kinds, match=EXPECTED[answer]) as failure:
        call("s3://bucket/x")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("call", WITHOUT_A_LOOK_BEFORE.values(), ids=WITHOUT_A_LOOK_BEFORE)
@pytest.mark.parametrize("answer", ["redirect", "region", "403", "500"])
def test_so_is_one_that_refuses_to_list_or_to_write(
    server: Server, answer: str, call: Call
) -> None:
    check(server, answer, call)


@pytest.mark.parametrize("call", [storage.identity, storage.read])
def test_an_answer_without_an_etag_is_not_of_s3(server: Server, call: Call) -> None:
    server.answer = ANSWERS["json"]
    with pytest.raises(ConfigError, match="does not answer as S3 does; check AWS_ENDPOINT_URL"):
        call("s3://bucket/x")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("page", "answers with a web page and not with a file: .*; download the file first"),
        ("401", r"does not let everybody read it \(401\); download it first"),
        ("403", r"does not let everybody read it \(403\); download it first"),
        ("404", "there is no http://.*/x.tfrecord; check the address"),
        ("418", "answered 418; check the address"),
        ("500", "failed 2 times: .*500"),
    ],
)
def test_a_web_server_is_not_told_of_buckets(server: Server, answer: str, sentence: str) -> None:
    server.answer = ANSWERS[answer]
    calls = (storage.identity,) if answer == "page" else (storage.identity, storage.read)
    for call in calls:
        with pytest.raises((ConfigError, ConnectionError), match=sentence) as failure:
            call(f"{server.url}/x.tfrecord")
        assert "bucket" not in str(failure.value)
        assert "AWS" not in str(failure.value)
