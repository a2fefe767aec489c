"""A page in a real browser, and everything about it that a reader would not see."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

FLAGS: Final = [
    "--autoplay-policy=no-user-gesture-required",  # a test has no finger to press play with
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str | None:
    """The browser that is installed here, None where none is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Visit:
    """A page that is open.

    Attributes:
      page: to ask it more.
      said: what it wrote to the console, its errors included.
      asked: addresses that it asked for.
      dialogs: what it asked the reader.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def evaluate(self, script: str) -> Any:
        """What an expression comes to in the page."""
        return self.page.evaluate(script)


@contextmanager
def visit(
    browser: Browser, url: str, *, width: int = 1280, scheme: Scheme = "light"
) -> Iterator[Visit]:
    """Opens a page in a window of its own and listens from before it loads.

    Yields:
      The page, once all that it holds is loaded.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    try:
        opened = Visit(context.new_page())

        def dismiss(dialog: Any) -> None:
            opened.dialogs.append(dialog.message)
            dialog.dismiss()

        opened.page.on("console", lambda message: opened.said.append(message.text))
        opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.page.on("request", lambda request: opened.asked.append(request.url))
        opened.page.on("dialog", dismiss)
        opened.page.goto(url, wait_until="load")
        yield opened
    finally:
        context.close()
