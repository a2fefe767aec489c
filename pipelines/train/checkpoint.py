"""A training between two epochs, as a value and as the bytes of one object.

Needs no Keras: variables are arrays here. Whoever restores them must have them in the same order.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

FORMAT_VERSION: Final = 1

_MAGIC: Final = b"nsynth-flows checkpoint "

Arrays = tuple[NDArray[Any], ...]

History = dict[str, list[float]]
"""One value an epoch in each of `HISTORY_COLUMNS`; `epoch` counts from 1."""

HISTORY_COLUMNS: Final = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch of the lowest validation loss so far, the first of several.

    Attributes:
      epoch: counts from 1.
      weights: as `keras.Model.get_weights` gives them.
    """

    epoch: int
    val_loss: float
    weights: Arrays


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that training goes on from; the order of the next epoch follows from seed and epoch.

    Attributes:
      epoch: the last one that ended, from 1.
      variables: of model and optimiser, the seed generators of Dropout included.
    """

    epoch: int
    history: History
    variables: Arrays
    best: Best


def encode_checkpoint(checkpoint: Checkpoint, *, owner: str) -> bytes:
    """The bytes of a checkpoint: one line with the digest of all that follows, an npz archive.

    Args:
      owner: what is trained, see `decode_checkpoint`.
    """
    head = {
        "owner": owner,
        "epoch": checkpoint.epoch,
        "history": checkpoint.history,
        "best_epoch": checkpoint.best.epoch,
        "best_val_loss": checkpoint.best.val_loss,
    }
    arrays: dict[str, Any] = {
        "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
        **_named("variable", checkpoint.variables),
        **_named("best", checkpoint.best.weights),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    payload = buffer.getvalue()
    return _first_line(payload) + payload


def decode_checkpoint(data: bytes, *, owner: str) -> Checkpoint:
    """The checkpoint of `encode_checkpoint`.

    Args:
      owner: what is to be trained; a checkpoint of anything else is refused.

    Raises:
      ValueError: the bytes are damaged, of another format, or of another training.
    """
    line, _, _ = data[:100].partition(b"\n")
    if not line.startswith(_MAGIC):
        raise ValueError("it is no checkpoint")
    version = line.removeprefix(_MAGIC).partition(b" ")[0].decode(errors="replace")
    if version != str(FORMAT_VERSION):
        raise ValueError(f"it has format {version}, where this version reads {FORMAT_VERSION}")
    payload = data[len(line) + 1 :]
    if _first_line(payload) != line + b"\n":
        raise ValueError("its digest does not hold")
    with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
        head = json.loads(stored["head"].tobytes())
        if head["owner"] != owner:
            raise ValueError(f"it is of {head['owner']}, not of {owner}")
        names = sorted(stored.files)
        variables, weights = (
            tuple(stored[name] for name in names if name.startswith(f"{kind}-"))
            for kind in ("variable", "best")
        )
    best = Best(head["best_epoch"], head["best_val_loss"], weights)
    return Checkpoint(head["epoch"], head["history"], variables, best)


def digest_of(arrays: Sequence[NDArray[Any]]) -> str:
    """The digest of values, types and shapes of arrays, in their order."""
    digest = xxhash.xxh3_128()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _first_line(payload: bytes) -> bytes:
    digest = xxhash.xxh3_128_hexdigest(payload)
    return _MAGIC + f"{FORMAT_VERSION} {digest}\n".encode()


def _named(kind: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Array names that sort as the arrays stand."""
    return {f"{kind}-{place:05d}": array for place, array in enumerate(arrays)}
