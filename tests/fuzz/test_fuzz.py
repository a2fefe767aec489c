"""A few hundred cases of the corruption matrix; `make fuzz` runs ten thousand."""

import pytest

from tests.fuzz.cases import KINDS, make_case
from tests.fuzz.check import check

SEED = 4


@pytest.mark.parametrize("kind", KINDS)
def test_check_holds_for_each_kind_of_damage(kind: str) -> None:
    for number in range(2 if "notes" in kind else 8):
        check(make_case(kind, number, seed=SEED))


def test_make_case_gives_the_same_case_again() -> None:
    first, second = (make_case("several", 3, seed=SEED) for _ in range(2))
    assert first.damaged.data == second.damaged.data
    assert (first.range_bytes, first.block_bytes) == (second.range_bytes, second.block_bytes)
