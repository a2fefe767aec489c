import copy
import html
import logging
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipelines.text import (
    NUM_LISTED,
    guard_log,
    listed,
    markdown,
    markdown_code,
    visible,
    visible_lines,
)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=40)
MARKUP = st.text("\\`*_{}[]()<>#+-.!|~&=:;\"'/ \n\tab1\u202e", max_size=24)
# The reader that Rich brings, with what GitHub and Prefect add.
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(page: str) -> str:
    """What a reader sees, spaces aside."""
    return " ".join(html.unescape(page).split())


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bass_acoustic_000-024-100", "bass_acoustic_000-024-100"),
        ("Geräusch \U0001f3b9 音", "Geräusch \U0001f3b9 音"),
        ("\x1b]0;title\x07\x1b[31m\x9b2J\x7f", r"\x1b]0;title\x07\x1b[31m\x9b2J\x7f"),
        ("a\nnsynth: done\r\tb", r"a\nnsynth: done\r\tb"),
        ("\u202egpj\u2066\u200f\u200b\u2028", r"\u202egpj\u2066\u200f\u200b\u2028"),
        ("not UTF-8 \udcff", r"not UTF-8 \udcff"),
    ],
)
def test_visible_escapes_what_a_terminal_obeys(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(TEXTS)
def test_visible_leaves_nothing_that_cannot_be_printed(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)
    visible(text).encode()


def test_visible_lines_leaves_line_breaks() -> None:
    assert visible_lines("a\x1b\n\tb\u2028c\n") == "a\\x1b\n\\tb\\u2028c\n"


@given(TEXTS | MARKUP)
@example("1. a")
@example("![a](http://b)")
@example("<script>alert(1)</script>")
@example("# a")
@example("***")
def test_markdown_shows_text_as_it_is(text: str) -> None:
    page = READER.render(f"{markdown(text)}\n")
    inner = re.sub(r"^<p>(.*)</p>\n$", r"\1", page, flags=re.DOTALL)
    assert "<" not in inner
    assert shown(inner) == " ".join(visible(text).split())


@given(MARKUP)
def test_markdown_shows_text_as_it_is_in_a_cell(text: str) -> None:
    page = READER.render(f"| a | b |\n| --- | --- |\n| {markdown(text)} | end |\n")
    cells = re.findall("<td>(.*?)</td>", page)
    assert [shown(cell) for cell in cells] == [" ".join(visible(text).split()), "end"]
    assert not any("<" in cell for cell in cells)


@given(MARKUP)
def test_markdown_code_shows_text_as_it_is(text: str) -> None:
    page = READER.render(f"Place: {markdown_code(text)}\n")
    assert re.fullmatch(r"<p>Place: <code>[^<]*</code></p>\n", page)
    assert shown(page.removeprefix("<p>Place: <code>").removesuffix("</code></p>\n")) == " ".join(
        visible(text).split()
    )


@pytest.mark.parametrize(
    ("num", "sentence"),
    [
        (0, ""),
        (1, "a0"),
        (NUM_LISTED, "a0, a1, a2"),
        (NUM_LISTED + 1, "a0, a1, a2, a3"),
        (NUM_LISTED + 2, "a0, a1, a2 and 2 more"),
        (1_256, "a0, a1, a2 and 1,253 more"),
    ],
)
def test_listed_is_a_few_names_and_how_many_more(num: int, sentence: str) -> None:
    assert listed(f"a{number}" for number in range(num)) == sentence


@pytest.fixture
def guarded() -> object:
    before = logging.getLogRecordFactory()
    guard_log()
    yield None
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize(
    ("name", "seen"),
    [("pipelines.convert.job", r"of a\x1b[31m\nb"), ("prefect.flow_runs", "of a\\x1b[31m\nb")],
)
def test_guard_log_escapes_messages_of_whichever_logger(
    name: str, seen: str, guarded: object
) -> None:
    record = logging.getLogger(name).makeRecord(
        name, logging.INFO, __file__, 1, "of %s", ("a\x1b[31m\nb",), None
    )
    for found in (record, copy.copy(record), pickle.loads(pickle.dumps(record))):  # noqa: S301
        assert logging.Formatter().format(found) == seen


def test_guard_log_escapes_tracebacks(guarded: object, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("\x1b]0;x\x07")
    except ValueError:
        logging.getLogger("pipelines").exception("failed")
    assert r"ValueError: \x1b]0;x\x07" in caplog.text
    assert "\x1b" not in caplog.text
