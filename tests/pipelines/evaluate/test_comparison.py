import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pipelines.errors import ConfigError
from pipelines.evaluate.comparison import compare, mcnemar, pair_notes
from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.evaluate.scores import score
from tests.pipelines.evaluate.tables import drawn, drawn_table


def pair(num_notes: int = 400, strength: float = 3.0) -> tuple[Predictions, Predictions]:
    return drawn(num_notes), drawn(num_notes, strength=strength, model_seed=1)


def test_compare_gives_the_figures_of_both_on_the_kept_notes() -> None:
    first, second = pair()
    found = compare(first, second).every
    before, after = (score(model.take(model.kept)) for model in (first, second))
    for name in ("accuracy", "instrument_accuracy", "macro_f1"):
        figure = found.figures[name]
        assert figure.first == pytest.approx(getattr(before, name))
        assert figure.second == pytest.approx(getattr(after, name))
        assert figure.difference == pytest.approx(figure.second - figure.first)
        assert figure.interval
        assert figure.interval[0] < figure.difference < figure.interval[1]
    assert (found.num_notes, found.num_instruments) == (first.kept.sum(), 20)


def test_compare_is_the_same_the_other_way_round_but_for_the_sign() -> None:
    first, second = pair()
    there, back = (compare(*pairs).every.figures for pairs in ((first, second), (second, first)))
    for name, figure in there.items():
        assert back[name].difference == pytest.approx(-figure.difference)
        assert figure.interval
        # Other draws of the same law.
        assert back[name].interval == pytest.approx([-e for e in figure.interval[::-1]], abs=0.02)


def test_compare_is_surer_of_a_difference_than_of_either_model() -> None:
    # The second is right wherever the first is, and on every tenth other note.
    first = drawn(600)
    better = first.correct | (first.row % 10 == 0)
    second = replace(first, predicted=np.where(better, first.label, first.predicted))
    accuracy = compare(first, second).every.figures["accuracy"]
    assert accuracy.interval
    alone = score(second.take(second.kept)).intervals["accuracy"]
    assert accuracy.interval[1] - accuracy.interval[0] < (alone[1] - alone[0]) / 2
    assert accuracy.interval[0] > 0


def test_compare_of_a_model_with_itself_finds_nothing() -> None:
    first, _ = pair()
    found = compare(first, first)
    for figure in found.every.figures.values():
        assert (figure.difference, figure.interval) == (0.0, None)
    assert (found.mcnemar.only_first, found.mcnemar.p_value) == (0, 1.0)


def test_compare_goes_by_family_and_says_which_has_too_few() -> None:
    # Ten families of two instruments each; then five of eight.
    assert all(not part.figures and part.too_few for part in compare(*pair()).families.values())
    tables = [drawn_table(800, num_instruments=80, model_seed=seed) for seed in range(2)]
    first, second = (from_table(table) for table in tables)
    found = compare(first, second).families
    kept = first.kept & (first.label == 2)
    flute = found["flute"]
    assert (flute.num_notes, flute.num_instruments, flute.too_few) == (kept.sum(), 8, False)
    assert set(flute.figures) == {"accuracy", "instrument_accuracy"}
    assert flute.figures["accuracy"].first == pytest.approx(first.correct[kept].mean())
    assert flute.figures["accuracy"].interval
    assert sum(part.num_notes for part in found.values()) == first.kept.sum()


def test_paired_matches_notes_of_another_order_and_other_rows() -> None:
    first, second = pair()
    order = np.random.default_rng(0).permutation(len(first))
    moved = replace(second.take(order), row=np.arange(len(second)) + 7)
    assert compare(first, moved).to_dict() == compare(first, second).to_dict()


def test_paired_takes_notes_that_both_keep() -> None:
    first, second = pair()
    stricter = replace(second, kept=second.kept & (second.row % 2 == 0))
    assert len(pair_notes(first, stricter)[0]) == stricter.kept.sum()
    with pytest.raises(ConfigError, match="no note is kept for both"):
        pair_notes(first, replace(second, kept=np.zeros(len(second), bool)))


@pytest.mark.parametrize("column", ["audio_digest", "note_str", "label"])
def test_compare_refuses_other_notes(column: str) -> None:
    first, second = pair()
    values = getattr(second, column).copy()
    values[3] = values[3] + (1 if column == "label" else " and another")
    with pytest.raises(ConfigError, match=r"not scored on the same notes \(400 and 400 of them\)"):
        compare(first, replace(second, **{column: values}))


def test_compare_refuses_fewer_notes() -> None:
    with pytest.raises(ConfigError, match=r"\(400 and 399 of them\); compare runs with the same"):
        compare(drawn(400), drawn(400).take(np.arange(399)))


def test_mcnemar_is_the_exact_binomial_test_of_the_notes_that_differ() -> None:
    right = np.array([[1, 0]] * 3 + [[0, 1]] * 11 + [[1, 1]] * 50 + [[0, 0]] * 20, bool)
    found = mcnemar(right[:, 0], right[:, 1])
    assert (found.only_first, found.only_second) == (3, 11)
    assert found.p_value == pytest.approx(2 * stats.binom.cdf(3, 14, 0.5))
    assert found.caveat == "treats notes as independent"


def test_comparison_is_json_of_a_known_format() -> None:
    found = compare(*pair()).to_dict()
    assert found["format_version"] == 1
    assert found["mcnemar"]["caveat"] == "treats notes as independent"
    assert set(json.loads(json.dumps(found, allow_nan=False))) == set(found)
