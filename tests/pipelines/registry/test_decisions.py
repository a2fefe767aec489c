from pathlib import Path

import pytest

from pipelines.decisions import Action, Decision
from pipelines.layout import DECISIONS
from pipelines.registry.runs import MAX_FLOW_RUNS, append_decisions, load_decisions


def decision(action: Action, why: str = "so") -> Decision:
    return Decision("train", "optimised", action, why)


def test_log_decisions_keeps_flow_runs_that_did_something(tmp_path: Path) -> None:
    uri = str(tmp_path)
    first = [decision("reused"), decision("ran")]
    assert append_decisions(uri, first)
    written = (tmp_path / DECISIONS).read_bytes()
    assert not append_decisions(uri, [decision("reused"), decision("reused")])
    # A task that is tried again.
    assert not append_decisions(uri, first)
    assert (tmp_path / DECISIONS).read_bytes() == written
    assert append_decisions(uri, [decision("kept champion")])
    assert [list(of.decisions) for of in load_decisions(uri)] == [
        first,
        [decision("kept champion")],
    ]


def test_log_decisions_keeps_the_latest(tmp_path: Path) -> None:
    for number in range(MAX_FLOW_RUNS + 3):
        append_decisions(str(tmp_path), [decision("ran", f"{number}")])
    found = [of.decisions[0].why for of in load_decisions(str(tmp_path))]
    assert found == [str(number) for number in range(3, MAX_FLOW_RUNS + 3)]


@pytest.mark.parametrize("text", ["{", "[]", '{"format_version": 99}', '{"format_version": 1}'])
def test_load_log_of_what_it_cannot_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / DECISIONS).write_text(text)
    assert load_decisions(str(tmp_path)) == ()
    assert append_decisions(str(tmp_path), [decision("ran")])
    assert len(load_decisions(str(tmp_path))) == 1
