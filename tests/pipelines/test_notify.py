import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from threading import Event, Thread

import pytest

from pipelines.notify import notify
from tests.pipelines.webhook import webhook

TOKEN = "T0ken-that-nobody-may-see"  # noqa: S105 - of no service
MESSAGE = {"what": "quality fell", "runs": [1, 2]}


@pytest.fixture(autouse=True)
def _hear_all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_notify_posts_json(caplog: pytest.LogCaptureFixture) -> None:
    with webhook() as server:
        assert notify(f"{server.url}/hooks/{TOKEN}", MESSAGE)
    assert server.posted == [(f"/hooks/{TOKEN}", MESSAGE)]
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("status", [404, 500])
def test_notify_warns_of_a_server_that_refuses(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with webhook(status) as server:
        assert not notify(f"{server.url}/hooks/{TOKEN}", MESSAGE)
    assert f"the webhook did not hear of it: it answered {status}" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_notify_does_not_take_a_redirect_for_an_answer(
    caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with webhook() as target, webhook(status, location=f"{target.url}/{TOKEN}") as server:
        assert not notify(f"{server.url}/hooks/{TOKEN}", MESSAGE)
    assert f"it answered {status}, a redirect; set the address that it leads to" in caplog.text
    assert target.asked == []
    assert TOKEN not in caplog.text


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server that sends its answer byte by byte and never ends it."""
    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    for byte in chain(b"HTTP/1.1 200 OK\r\nX: ", repeat(ord("x"))):
                        connection.sendall(bytes([byte]))
                        if ended.wait(0.02):
                            return

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join()


def test_notify_does_not_wait_for_a_server_that_drips(
    caplog: pytest.LogCaptureFixture, dripping: str
) -> None:
    # Each byte comes well within the time, and the header would end after 65,536 of them.
    assert not notify(f"{dripping}/{TOKEN}", MESSAGE, timeout_sec=1)
    assert "there was no answer in time" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"ftp://127.0.0.1/{TOKEN}",
        f"http://[{TOKEN}",
        f"http://127.0.0.1:{TOKEN}/",
        f"http:///{TOKEN}",
        f"http://127.0.0.1:1/{TOKEN} with blanks\n",
        f"{TOKEN}",
    ],
)
def test_notify_warns_of_an_address_that_nobody_answers(
    caplog: pytest.LogCaptureFixture, address: str
) -> None:
    assert not notify(address, MESSAGE)
    assert "the webhook" in caplog.text
    assert TOKEN not in caplog.text
