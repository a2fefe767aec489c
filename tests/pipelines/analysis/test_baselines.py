from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.analysis.baselines import fit_baseline, score_baselines
from pipelines.analysis.stored import check_baselines, load_baselines
from pipelines.decisions import collect_decisions
from pipelines.errors import PipelineError
from pipelines.evaluate.predictions import load_predictions
from pipelines.parameters import BaselineName
from pipelines.train.selection.run_plan import RunPlan

MAJORITY, NEAREST, LOGISTIC = BaselineName

LEVELS = np.random.default_rng(0).normal(size=(60, 4))
LABELS = (LEVELS[:, 0] > 0.5).astype(np.int64) * 7


def test_majority_gives_the_shares_of_the_training_notes() -> None:
    shares = fit_baseline(MAJORITY, LEVELS, LABELS, LEVELS[:2])
    assert shares[:, 7] == pytest.approx((LABELS == 7).mean())
    assert shares.sum(axis=1) == pytest.approx(1)


def test_nearest_neighbour_of_a_training_note_is_itself() -> None:
    shares = fit_baseline(NEAREST, LEVELS, LABELS, LEVELS)
    assert (shares.argmax(axis=1) == LABELS).all()
    assert set(np.unique(shares)) == {0, 1}


def test_logistic_regression_is_of_standardised_levels() -> None:
    scaled = (LEVELS - LEVELS.mean(axis=0)) / LEVELS.std(axis=0)
    expected = LogisticRegression(max_iter=1_000).fit(scaled, LABELS).predict_proba(scaled)
    found = fit_baseline(LOGISTIC, 100 + 10 * LEVELS, LABELS, 100 + 10 * LEVELS)
    assert found[:, [0, 7]] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("name", BaselineName)
def test_notes_of_one_family_get_that_family(name: BaselineName) -> None:
    shares = fit_baseline(name, LEVELS, np.full(60, 3), LEVELS[:2])
    assert (shares[:, 3] == 1).all()


def test_baselines_answer_the_notes_of_the_models_and_are_reused(plan: RunPlan) -> None:
    first = score_baselines(plan, force=True)
    model = load_predictions(plan.model_uri("preliminary", "predictions.parquet"))
    for predictions in first.values():
        assert (predictions.note_str == model.note_str).all()
        assert (predictions.kept == model.kept).all()
    with collect_decisions() as decisions:
        again = score_baselines(plan)
    assert [decision.action for decision in decisions] == ["reused"]
    for name, predictions in again.items():
        assert (predictions.probabilities == first[name].probabilities).all()
    metrics = load_baselines(plan.uri)
    assert list(metrics) == list(BaselineName)
    assert metrics[LOGISTIC].accuracy == first[LOGISTIC].correct.mean()


def test_damaged_baselines_are_noticed_and_made_again(plan: RunPlan) -> None:
    first = score_baselines(plan)[NEAREST]
    check_baselines(plan.uri)
    path = Path(plan.uri) / "baselines" / NEAREST / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PipelineError, match="is damaged"):
        check_baselines(plan.uri)
    assert (score_baselines(plan)[NEAREST].predicted == first.predicted).all()
    check_baselines(plan.uri)
