"""That a visit notices what the pages must not do: without it their silence would prove nothing."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.chromium import visit

BAD = """<!doctype html><title>bad</title>
<img src="http://127.0.0.1:9/elsewhere.png"><p style="color:#ccc">pale</p>
<script>console.log("said"); alert("asked");</script>
<div style="width:2000px">wide</div>"""


def test_visit_hears_what_a_page_must_not_do(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(BAD)
    with visit(browser, page.as_uri(), width=390) as opened:
        assert "said" in opened.said
        assert opened.dialogs == ["asked"]
        assert "http://127.0.0.1:9/elsewhere.png" in opened.asked
        assert opened.evaluate("document.documentElement.scrollWidth") > 390
        found = {of["id"] for of in Axe().run(opened.page).response["violations"]}
        assert {"image-alt", "color-contrast", "html-has-lang"} <= found
