from dataclasses import replace

import numpy as np
import pytest

from pipelines.train.fitting.checkpoints import (
    Checkpoint,
    decode_checkpoint,
    digest_arrays,
    encode_checkpoint,
)

VARIABLES = (
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(2**40, np.int64),
    np.array([7, 8], np.uint32),
)
CHECKPOINT = Checkpoint(
    epoch=2,
    history={"epoch": [1, 2], "loss": [0.1 + 0.2, 1 / 3]},
    variables=VARIABLES,
    best=VARIABLES[:1],
)
DATA = encode_checkpoint(CHECKPOINT, owner="a")


def test_decode_checkpoint_gives_back_every_bit() -> None:
    again = decode_checkpoint(DATA, owner="a")
    assert (again.epoch, again.history) == (2, CHECKPOINT.history)
    assert digest_arrays(again.variables) == digest_arrays(VARIABLES)
    assert digest_arrays(again.best) == digest_arrays(VARIABLES[:1])


def test_decode_checkpoint_keeps_the_order_of_many_variables() -> None:
    many = tuple(np.full(1, number) for number in range(120))
    data = encode_checkpoint(replace(CHECKPOINT, variables=many), owner="a")
    assert [int(v[0]) for v in decode_checkpoint(data, owner="a").variables] == [*range(120)]


def test_decode_checkpoint_refuses_a_flip_anywhere() -> None:
    for place in range(0, len(DATA), 7):
        damaged = bytearray(DATA)
        damaged[place] ^= 4
        with pytest.raises(ValueError, match="digest does not hold"):
            decode_checkpoint(bytes(damaged), owner="a")


@pytest.mark.parametrize("length", [0, 10, 16, 500, -1])
def test_decode_checkpoint_refuses_a_short_one(length: int) -> None:
    with pytest.raises(ValueError, match="digest does not hold"):
        decode_checkpoint(DATA[:length], owner="a")


def test_decode_checkpoint_refuses_another_training() -> None:
    with pytest.raises(ValueError, match="it is of a, not of b"):
        decode_checkpoint(DATA, owner="b")


def test_digest_of_tells_types_shapes_and_values_apart() -> None:
    ones = np.ones(4, np.float32)
    others = [ones.astype(np.int32), ones.reshape(2, 2), ones * 2, -ones]
    assert len({digest_arrays([array]) for array in [ones, *others]}) == 5
    assert digest_arrays([ones, ones]) != digest_arrays([ones])
