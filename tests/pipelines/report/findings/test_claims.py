from pathlib import Path
from typing import get_args

from pipelines.report.findings.claim import Place
from pipelines.report.findings.claims import claims, tally
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run


def test_claims_says_something_of_all_eight_findings(tmp_path: Path) -> None:
    found = claims(load_results(write_run(tmp_path)), None, None)
    assert len({of.finding for of in found}) == 8
    assert all(of.rule and of.rests_on for of in found)
    assert {place for of in found for place, _ in of.rests_on} <= set(get_args(Place))
    # The run left an unreadable record aside, and has neither features.json nor cost.json.
    assert found[7].verdict == "contradicted"
    assert tally(found[2:]) == "0 confirmed, 1 contradicted, 5 undecided"
