from pathlib import Path

from pipelines.parameters import Protocol
from pipelines.report.headline import PROTOCOLS, describe, describe_instruments
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run


def test_describe_says_which_model_is_surely_better(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, num_notes=400, models={"preliminary": 0.5, "tiny": 5.0}))
    words = describe(run)
    assert words.startswith("tiny is surely better than preliminary: tiny 0.")
    assert "95 % interval +" in words


def test_describe_says_that_nothing_is_sure(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"preliminary": 1.0, "tiny": 1.0}))
    assert describe(run).startswith("Neither model is surely better")


def test_describe_of_one_model_compares_nothing(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"tiny": 1.0}))
    assert "no other model" in describe(run)


def test_instruments_tell_seen_from_unseen(tmp_path: Path) -> None:
    words = describe_instruments(load_results(write_run(tmp_path)))
    assert words == "38 scored notes are of instruments that were trained on, 19 of others."


def test_each_protocol_has_its_words() -> None:
    assert list(PROTOCOLS) == list(Protocol)
