"""What a reader's browser makes of the pages, opened from the disk."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.chromium import Scheme, visit
from tests.browser.hostile import NAMES

PAGES = ("report", "hostile", "index", "runs", "models")
REPORTS = ("report", "hostile")

Pages = dict[str, Path]

# Plays each note until time has passed in it; a player that cannot play never gets there.
PLAY = """async () => {
  const played = [];
  for (const audio of document.querySelectorAll("audio")) {
    if (audio.readyState < 1) {
      await new Promise((done) => {
        audio.onloadedmetadata = audio.onerror = done;
        setTimeout(done, 10000);
      });
    }
    const duration = audio.duration;
    await audio.play();
    const begun = performance.now();
    while (audio.currentTime < 0.02 && performance.now() - begun < 10000) {
      await new Promise((done) => setTimeout(done, 5));
    }
    played.push([duration, audio.currentTime, audio.error && audio.error.message]);
    audio.pause();
  }
  return played;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_page_says_nothing_and_asks_for_nothing(browser: Browser, pages: Pages, name: str) -> None:
    url = pages[name].as_uri()
    with visit(browser, url) as opened:
        # What a reader may touch is touched: links within the page, folded parts, players.
        opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        opened.page.mouse.wheel(0, 100_000)
        opened.page.wait_for_timeout(200)
        assert (opened.said, opened.dialogs) == ([], [])
        assert [u for u in opened.asked if u != url and not u.startswith("data:")] == []
        kinds = "script, iframe, object, embed, link, form, base"
        assert opened.evaluate(f"document.querySelectorAll('{kinds}').length") == 0


@pytest.mark.parametrize("name", REPORTS)
def test_every_note_is_four_seconds_long_and_plays(
    browser: Browser, pages: Pages, name: str
) -> None:
    with visit(browser, pages[name].as_uri()) as opened:
        played = opened.evaluate(PLAY)
        assert len(played) > 40
        for duration, reached, error in played:
            assert error is None
            assert duration == pytest.approx(4, abs=0.1)
            assert reached >= 0.02


def test_report_plays_originals(browser: Browser, pages: Pages) -> None:
    with visit(browser, pages["report"].as_uri()) as opened:
        labels = opened.evaluate(
            "[...document.querySelectorAll('audio')].map(a => a.getAttribute('aria-label'))"
        )
        assert labels
        assert not [label for label in labels if label.endswith(", stored signal")]


def test_hostile_names_are_text(browser: Browser, pages: Pages) -> None:
    with visit(browser, pages["hostile"].as_uri()) as opened:
        assert "injected" not in opened.page.title()
        assert opened.evaluate("document.getElementById('injected')") is None
        handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
        names = set(opened.evaluate(f"{handlers}.map(a => a.name)"))
        assert not [name for name in names if name.startswith("on")]
        text = opened.page.inner_text("main")
        for name in (NAMES[0], NAMES[1], NAMES[6], "nothing\\x00bell\\x07escape\\x1b[31mred"):
            assert name in text
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\u200b"}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation(
    browser: Browser, pages: Pages, name: str, scheme: Scheme, width: int
) -> None:
    with visit(browser, pages[name].as_uri(), scheme=scheme, width=width) as opened:
        found = Axe().run(opened.page).response["violations"]
        assert [(of["id"], of["nodes"][0]["target"]) for of in found] == []


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_page_never_scrolls_sideways(browser: Browser, pages: Pages, name: str, width: int) -> None:
    with visit(browser, pages[name].as_uri(), width=width) as opened:
        opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert opened.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_page_prints_without_players(browser: Browser, pages: Pages, name: str) -> None:
    with visit(browser, pages[name].as_uri()) as opened:
        assert opened.page.pdf().startswith(b"%PDF-")
        opened.page.emulate_media(media="print")
        shown = "[...document.querySelectorAll('audio')].filter(a => a.offsetHeight).length"
        assert opened.evaluate(shown) == 0


@pytest.mark.parametrize("name", ["runs", "models"])
def test_comparison_draws_each_course_and_each_difference(
    browser: Browser, pages: Pages, name: str
) -> None:
    with visit(browser, pages[name].as_uri()) as opened:
        # Accuracy and loss of two models, and the differences.
        assert opened.evaluate("document.querySelectorAll('#training svg.chart').length") == 4
        assert opened.evaluate("document.querySelectorAll('#differences svg.chart').length") >= 1


@pytest.mark.parametrize("name", REPORTS)
def test_report_stays_small(pages: Pages, name: str) -> None:
    assert pages[name].stat().st_size < 8_000_000


@pytest.mark.parametrize("name", ["index", "runs", "models"])
def test_pages_over_runs_lead_to_the_reports(browser: Browser, pages: Pages, name: str) -> None:
    with visit(browser, pages[name].as_uri()) as opened:
        opened.page.click("tbody a")
        assert opened.page.url in {pages[name].as_uri() for name in REPORTS}
        assert opened.page.inner_text("h1")
