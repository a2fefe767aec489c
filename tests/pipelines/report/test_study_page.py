from dataclasses import replace

from pipelines.report.study_page import render_study
from pipelines.studies.results import PrunedTrial, StudyRecord
from tests.pipelines.studies.test_results import trial

RECORD = StudyRecord(
    study_id="s",
    name="small",
    question="Which step?",
    protocol="validation",
    seeds=(0,),
    train={"8000": "d"},
    trials=(trial("first", 0.5, 1.0),),
    candidate=None,
    created="2026-11-28T10:00:00+00:00",
)


def test_page_lists_pruned_trials_apart_and_says_that_their_runs_are_not_complete() -> None:
    pruned = PrunedTrial("spectral-1", "dropout 0.31", epoch=4, accuracy=0.4321)
    page = render_study(replace(RECORD, pruned=(pruned,)), [], {})
    assert "1 trial pruned" in page
    row = page[page.index("spectral-1") :].partition("</tr>")[0]
    for text in ("dropout 0.31", "0.4321", "<td>4</td>"):
        assert text in row
    assert "not complete" in page


def test_page_without_pruned_trials_does_not_speak_of_them() -> None:
    assert "pruned" not in render_study(RECORD, [], {})
