"""A training between two epochs, as a value and as the bytes of one object.

Needs no Keras: variables are arrays here. Whoever restores them must have them in the same order.
"""

import io
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines import storage
from pipelines.decisions import decided
from pipelines.registry.runs import History
from pipelines.train.model.backend import keras
from pipelines.train.selection.run_plan import RunPlan

FORMAT_VERSION: Final = 1

_MAGIC: Final = b"nsynth-flows checkpoint "

Arrays = tuple[NDArray[Any], ...]


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


def digest_arrays(arrays: Sequence[NDArray[Any]]) -> str:
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


_NAME: Final = re.compile(r"epoch-(\d{5,})\.npz")

_NUM_KEPT: Final = 2
"""The newest, and the one before it for when the newest is damaged."""

log = logging.getLogger(__name__)


def run_checkpoints(plan: RunPlan, name: str) -> "Checkpoints":
    """The checkpoints of one model of a run."""
    return Checkpoints(plan.model_uri(name, "checkpoints"), f"{name} of run {plan.run_id}")


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
      uri: the folder that holds them.
      owner: what is trained, in words; a checkpoint of anything else is refused.
    """

    uri: str
    owner: str

    @property
    def are_stored(self) -> bool:
        """Whether there is any, intact or not."""
        return bool(self._stored())

    def newest(self, *, shapes: str) -> Checkpoint | None:
        """The newest checkpoint that is intact and of this training; None to begin at the start.

        Args:
          shapes: of the variables that are to take its values, see `variables.shapes`.
        """
        for epoch, uri in self._stored():
            try:
                found = decode_checkpoint(storage.read(uri), owner=self._owner(shapes))
            except ValueError as err:
                log.warning("%s is not used: %s", uri, err)
                continue
            why = (
                f"resuming {self.owner} behind epoch {epoch}, since {uri} is there and no trained "
                "model"
            )
            decided(log, "train", self.owner, "resumed", why)
            return found
        return None

    def store(self, checkpoint: Checkpoint, *, shapes: str) -> None:
        """Stores a checkpoint, then removes those that it makes superfluous."""
        data = encode_checkpoint(checkpoint, owner=self._owner(shapes))
        storage.put(storage.join(self.uri, f"epoch-{checkpoint.epoch:05d}.npz"), data)
        for epoch, uri in self._stored():
            if epoch <= checkpoint.epoch - _NUM_KEPT:
                storage.remove(uri)

    def clear(self) -> None:
        """Removes all of them; for when the trained model is stored."""
        for _, uri in self._stored():
            storage.remove(uri)
        local = storage.local_path(self.uri)
        # What a process killed in the middle of a write has left may be another's, still at work.
        if local is not None and local.is_dir() and not any(local.iterdir()):
            storage.remove(self.uri)

    def _owner(self, shapes: str) -> str:
        return f"{self.owner}, {shapes}"

    def _stored(self) -> list[tuple[int, str]]:
        """Epoch and URI of each, the newest first."""
        names = [match for name in storage.sizes(self.uri) if (match := _NAME.fullmatch(name))]
        found = [(int(match[1]), storage.join(self.uri, match[0])) for match in names]
        return sorted(found, reverse=True)


def read_variables(model: keras.Model) -> Arrays:
    """Copies of all variables of a compiled model and its optimiser, seed generators included."""
    return tuple(_copy(variable) for variable in _variables(model))


def read_weights(model: keras.Model) -> Arrays:
    """Copies of a model's weights, in the order of `keras.Model.get_weights`."""
    return tuple(_copy(variable) for variable in model.weights)


def assign_variables(model: keras.Model, given: Sequence[NDArray[Any]]) -> None:
    """Gives all variables of a compiled model and its optimiser the values that `values` read."""
    for variable, value in zip(_variables(model), given, strict=True):
        variable.assign(value)


def describe_variables(model: keras.Model) -> str:
    """What tells in words whether values fit the variables; another Keras may order them anew."""
    kinds = [f"{variable.dtype} {tuple(variable.shape)}" for variable in _variables(model)]
    digest = digest_arrays([np.array(kinds)])[:8]
    return f"{len(kinds)} variables {digest} of keras {version('keras')}"


def _variables(model: keras.Model) -> list[Any]:
    # An optimiser has its slots from the first step on, unless it is built before.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _copy(variable: Any) -> NDArray[Any]:
    # Without the copy, some backends give a view of memory that the next step writes to.
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.copy(variable)))
