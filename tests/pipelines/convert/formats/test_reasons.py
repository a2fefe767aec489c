import re
from pathlib import Path

from pipelines.convert.formats.reasons import Reason

PAGE = Path(__file__).parents[4] / "docs/data.md"


def test_reasons_are_those_of_the_page() -> None:
    _, _, table = PAGE.read_text().partition("| reason |")
    rows = re.findall(r"^\| (`[^|]*) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(Reason)
