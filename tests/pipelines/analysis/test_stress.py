from pathlib import Path

import numpy as np
import pytest

from pipelines.analysis.stored import load_stress, read_stress
from pipelines.analysis.stress import CHANGES, NOTE_SEC, PARTS_SEC, Change, change_audio, stress_run
from pipelines.decisions import collect_decisions
from pipelines.errors import ConfigError, DatasetError
from pipelines.evaluate.predictions import load_predictions
from pipelines.train.selection.run_plan import RunPlan

AUDIO = np.random.default_rng(0).normal(size=(3, 4_000)).astype(np.float32)
ROWS = np.array([5, 7, 9])
RATE_HZ = 4_000 / NOTE_SEC


@pytest.mark.parametrize("change", [Change("delay", 0.0), Change("gain", 0.0)])
def test_a_change_of_nothing_leaves_the_samples(change: Change) -> None:
    assert (change_audio(AUDIO, change, rows=ROWS) == AUDIO).all()


def test_delay_moves_the_samples_by_its_milliseconds() -> None:
    changed = change_audio(AUDIO, Change("delay", 50.0), rows=ROWS)
    assert (changed[:, :50] == 0).all()
    assert (changed[:, 50:] == AUDIO[:, :-50]).all()


def test_gain_and_noise_have_their_decibels() -> None:
    louder = change_audio(AUDIO, Change("gain", 20.0), rows=ROWS)
    assert louder == pytest.approx(10 * AUDIO, rel=1e-6)
    noise = change_audio(AUDIO, Change("noise", 20.0), rows=ROWS) - AUDIO
    ratio = (AUDIO**2).mean(axis=1) / (noise**2).mean(axis=1)
    assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.5)


def test_noise_of_a_note_depends_on_its_row_alone() -> None:
    change = Change("noise", 10.0)
    together = change_audio(AUDIO, change, rows=ROWS)
    alone = change_audio(AUDIO[1:2], change, rows=ROWS[1:2])
    assert (together[1] == alone[0]).all()


def test_parts_make_up_the_note() -> None:
    parts = [change_audio(AUDIO, Change("part", part=part), rows=ROWS) for part in PARTS_SEC]
    assert (np.sum(parts, axis=0) == AUDIO).all()
    assert max(end for _, end in PARTS_SEC.values()) == NOTE_SEC


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_changes_keep_the_originals(change: Change) -> None:
    before = AUDIO.copy()
    changed = change_audio(AUDIO, change, rows=ROWS)
    assert changed.dtype == np.float32
    assert (before == AUDIO).all()


def test_sheet_of_a_run_is_of_its_kept_notes_and_is_reused(plan: RunPlan) -> None:
    cache_dir = Path(plan.uri).parents[1] / "cache"
    first = stress_run(plan, cache_dir=cache_dir, force=True)
    with collect_decisions() as decisions:
        assert stress_run(plan, cache_dir=cache_dir) == first
        assert stress_run(plan, cache_dir=cache_dir, force=True) == first
    assert [decision.action for decision in decisions] == ["reused", "ran"]
    sheet = first["preliminary"]
    predictions = load_predictions(plan.model_uri("preliminary", "predictions.parquet"))
    assert sheet.accuracy == predictions.correct[predictions.kept].mean()
    unchanged = next(point for point in sheet.points if point.name == "delay 0 ms")
    assert (unchanged.accuracy, unchanged.difference) == (sheet.accuracy, 0)
    assert [point.name for point in sheet.points] == [change.name for change in CHANGES]
    assert load_stress(plan.uri, ["preliminary", "optimised"]) == first


def test_a_changed_sheet_is_refused_and_measured_again(plan: RunPlan) -> None:
    cache_dir = Path(plan.uri).parents[1] / "cache"
    first = stress_run(plan, cache_dir=cache_dir)
    path = Path(plan.model_uri("preliminary", "stress.json"))
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DatasetError, match="was changed after it was written"):
        read_stress(plan.model_uri("preliminary"))
    assert stress_run(plan, cache_dir=cache_dir) == first


def test_a_run_has_no_sheet_of_another_model(plan: RunPlan) -> None:
    with pytest.raises(ConfigError, match="has no model 'optimised'; it has preliminary"):
        stress_run(plan, ["optimised"], cache_dir=Path("nowhere"))
