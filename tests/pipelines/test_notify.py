import logging

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
