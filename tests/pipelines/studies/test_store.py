"""Stored studies, and their place on the page over all runs."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.report.drawing.run_charts import LearningCurve
from pipelines.report.runs_index import build_index
from pipelines.report.study_page import render_study
from pipelines.studies.results import (
    Candidate,
    StudyRecord,
    load_study,
    scored_candidate,
    store_study,
    study_uri,
)
from pipelines.studies.store import Pair, load_studies, pairs, studies_of
from tests.pipelines.studies.test_results import trial

GAINED = replace(trial("dense-24", 0.6, 2), base="a", gain=0.1, finding="dense_layer")
RECORD = StudyRecord(
    study_id="0123456789abcdef",
    name="ladder",
    question="What does <each> step gain?",
    protocol="validation",
    seeds=(0,),
    train={"8000": "feed"},
    trials=(trial("a", 0.5, 1), GAINED),
    candidate=Candidate("dense-24"),
    created="2026-01-01T00:00:00+00:00",
)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    place = study_uri(str(tmp_path), RECORD.study_id)
    store_study(RECORD, place)
    return place


def test_record_is_read_back(uri: str) -> None:
    assert load_study(uri) == RECORD


def test_trials_of_a_finding_come_with_their_base(uri: str, tmp_path: Path) -> None:
    assert studies_of(str(tmp_path), "feed") == [(uri, RECORD)]
    assert not studies_of(str(tmp_path), "other")
    assert pairs([(uri, RECORD)], "dense_layer") == [Pair(uri, RECORD, *RECORD.trials)]
    assert not pairs([(uri, RECORD)], "capacity")


def test_damaged_record_is_named_and_left_out(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = Path(uri) / "study.json"
    path.write_text(path.read_text().replace("0.6", "0.7"))
    assert not list(load_studies(str(tmp_path)))
    assert "study.json" in caplog.text


def test_index_links_to_each_study(uri: str, tmp_path: Path) -> None:
    page = Path(build_index(str(tmp_path))).read_text()
    assert f'href="studies/{RECORD.study_id}/study.html"' in page
    assert "What does &lt;each&gt; step gain?" in page
    assert "dense-24 is the most accurate (0.6000" in page


def test_page_shows_every_trial_as_text() -> None:
    hostile = replace(RECORD, trials=(replace(RECORD.trials[0], change="<script>"), GAINED))
    curves = [LearningCurve(1, "a", [1, 2], [0.4, 0.5]), LearningCurve(2, "b", [1, 2], [0.5, 0.6])]
    page = render_study(hostile, curves, {"a": "../../runs/a/report.html"})
    assert "<script>" not in page
    assert "+10.0" in page
    assert "No trial was scored on test notes" in page
    assert "had no test data" in page


def test_candidate_that_test_notes_scored_is_final(uri: str) -> None:
    assert scored_candidate(uri) is None
    scored = Candidate("dense-24", "feed", 0.7, None)
    store_study(replace(RECORD, candidate=scored), uri)
    assert scored_candidate(uri) == scored
    assert scored_candidate(f"{uri}-other") is None
