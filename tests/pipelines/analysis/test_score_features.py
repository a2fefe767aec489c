import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.analysis.features import score_run_features
from pipelines.analysis.stored import load_features
from pipelines.decisions import collect_decisions
from pipelines.evaluate.predictions import from_table
from pipelines.layout import FEATURES_FILE
from pipelines.parquet import open_parquet
from pipelines.train.selection.run_plan import RunPlan


def test_analyse_scores_each_feature_and_the_model_on_the_kept_notes(plan: RunPlan) -> None:
    scores = {of["feature"]: of for of in score_run_features(plan, force=True)["scores"]}
    assert list(scores) == [
        *("none", "pitch", "velocity", "source", "qualities", "metadata"),
        *("spectrum", "spectrum, metadata", "audio, preliminary"),
    ]
    with open_parquet(plan.model_uri("preliminary", "predictions.parquet")) as file:
        predictions = from_table(file.read())
    right = predictions.correct[predictions.kept]
    assert scores["audio, preliminary"]["accuracy"] == pytest.approx(right.mean())
    assert {of["num_notes"] for of in scores.values()} == {int(predictions.kept.sum())}
    commonest = np.bincount(predictions.label[predictions.kept]).max() / len(right)
    assert scores["none"]["accuracy"] <= commonest
    assert scores["none"]["is_constant"]


def test_analyse_gives_the_gain_of_metadata_as_the_difference_of_two_scores(plan: RunPlan) -> None:
    found = score_run_features(plan)
    accuracy = {of["feature"]: of["accuracy"] for of in found["scores"]}
    expected = accuracy["spectrum, metadata"] - accuracy["spectrum"]
    assert found["gain"]["difference"] == pytest.approx(expected)
    # Nine notes are too few.
    assert found["gain"]["interval"] is None


def test_analyse_is_reused_until_forced(plan: RunPlan) -> None:
    first = score_run_features(plan, force=True)
    with collect_decisions() as decisions:
        assert score_run_features(plan) == first
        assert score_run_features(plan, force=True) == first
    assert [of.action for of in decisions] == ["reused", "ran"]


def test_analyse_scores_again_what_an_older_version_stored(plan: RunPlan) -> None:
    found = score_run_features(plan)
    older = {key: value for key, value in found.items() if key != "gain"} | {"analysis_version": 1}
    Path(plan.model_uri(FEATURES_FILE)).write_text(json.dumps(older))
    # A report can show it.
    assert load_features(plan.uri) == older
    assert score_run_features(plan) == found


@pytest.mark.parametrize("damage", ["{", "[]", '{"analysis_version": 1}'])
def test_load_features_takes_damaged_scores_for_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / FEATURES_FILE).write_text(damage)
    assert load_features(str(tmp_path)) is None


def test_load_features_of_a_run_without_them_is_none(tmp_path: Path) -> None:
    assert load_features(str(tmp_path)) is None
