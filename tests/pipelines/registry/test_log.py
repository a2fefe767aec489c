from pathlib import Path

import pytest

from pipelines.decisions import Action, Decision
from pipelines.registry.log import LOG, MAX_ENTRIES, load_log, log_decisions


def decision(action: Action, why: str = "so") -> Decision:
    return Decision("train", "optimised", action, why)


def test_log_decisions_keeps_flow_runs_that_did_something(tmp_path: Path) -> None:
    uri = str(tmp_path)
    first = [decision("reused"), decision("ran")]
    assert log_decisions(uri, first)
    written = (tmp_path / LOG).read_bytes()
    assert not log_decisions(uri, [decision("reused"), decision("reused")])
    # A task that is tried again.
    assert not log_decisions(uri, first)
    assert (tmp_path / LOG).read_bytes() == written
    assert log_decisions(uri, [decision("kept champion")])
    assert [list(of.decisions) for of in load_log(uri)] == [first, [decision("kept champion")]]


def test_log_decisions_keeps_the_latest(tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES + 3):
        log_decisions(str(tmp_path), [decision("ran", f"{number}")])
    found = [of.decisions[0].why for of in load_log(str(tmp_path))]
    assert found == [str(number) for number in range(3, MAX_ENTRIES + 3)]


@pytest.mark.parametrize("text", ["{", "[]", '{"format_version": 99}', '{"format_version": 1}'])
def test_load_log_of_what_it_cannot_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / LOG).write_text(text)
    assert load_log(str(tmp_path)) == ()
    assert log_decisions(str(tmp_path), [decision("ran")])
    assert len(load_log(str(tmp_path))) == 1
