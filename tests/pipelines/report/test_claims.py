from pathlib import Path
from typing import get_args

from pipelines.report.claim import Place
from pipelines.report.claims import HEAD, claim_rows, claims, tally
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run

COST = {"models": {"tiny": {"exponent": 1.0, "interval": [0.95, 1.05]}}}


def test_claims_says_something_of_all_eight_findings(tmp_path: Path) -> None:
    found = claims(load_results(write_run(tmp_path)), None, None)
    assert len({of.finding for of in found}) == 8
    assert all(of.rule and of.rests_on for of in found)
    assert {place for of in found for place, _ in of.rests_on} <= set(get_args(Place))
    # The run left an unreadable record aside, and has neither features.json nor cost.json.
    assert found[7].verdict == "contradicted"
    assert tally(found[2:]) == "0 confirmed, 1 contradicted, 5 undecided"


def test_claim_rows_are_text_in_the_columns_of_their_head(tmp_path: Path) -> None:
    rows = claim_rows(claims(load_results(write_run(tmp_path)), None, COST))
    assert {len(row) for row in rows} == {len(HEAD)}
    assert rows[2][1:4] == ("confirmed", "tiny, exponent: 1.00", "0.95 to 1.05")
