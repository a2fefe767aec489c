"""Checkpoints of a training: one object per epoch, stored with the run.

A checkpoint holds all variables of model and optimiser, the seed generators of Dropout included.
A `.keras` file leaves the latter out, so that a training that goes on from one would differ. Two
processes that train the same model write the same objects; neither sees half of one.
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
from pipelines.decisions import record_decision
from pipelines.layout import CHECKPOINTS_FOLDER
from pipelines.registry.runs import History
from pipelines.train.model.backend import keras
from pipelines.train.selection.run_plan import Training

Arrays = tuple[NDArray[Any], ...]

_NAME: Final = re.compile(r"epoch-(\d{5,})\.npz")

# The newest checkpoint, and the one before it in case the newest is damaged.
_NUM_KEPT: Final = 2

_DIGEST_BYTES: Final = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training after an epoch; the order of the next follows from seed and epoch.

    Attributes:
      epoch: last one that ended, from 1.
      history: of all epochs up to this one.
      variables: of model and optimiser, see `read_variables`.
      best: weights of the epoch of the lowest validation loss, as `keras.Model.get_weights` gives
        them.
    """

    epoch: int
    history: History
    variables: Arrays
    best: Arrays


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
      uri: folder that holds them.
      owner: what is trained, in words; a checkpoint of anything else is not used.
    """

    uri: str
    owner: str

    @property
    def are_stored(self) -> bool:
        """Return whether there is any, intact or not."""
        return bool(self._stored())

    def newest(self, model: keras.Model) -> Checkpoint | None:
        """Return the newest checkpoint that is intact and fits a compiled model."""
        for epoch, uri in self._stored():
            try:
                found = decode_checkpoint(storage.read(uri), owner=self._owner(model))
            except ValueError as err:
                log.warning("%s is not used: %s", uri, err)
                continue
            why = (
                f"resuming {self.owner} after epoch {epoch}, since {uri} is there and no trained "
                "model"
            )
            record_decision(log, "train", self.owner, "resumed", why)
            return found
        return None

    def store(self, checkpoint: Checkpoint, model: keras.Model) -> None:
        """Store a checkpoint of a model, then remove those that are no longer needed."""
        data = encode_checkpoint(checkpoint, owner=self._owner(model))
        storage.put(storage.join(self.uri, f"epoch-{checkpoint.epoch:05d}.npz"), data)
        for epoch, uri in self._stored():
            if epoch <= checkpoint.epoch - _NUM_KEPT:
                storage.remove(uri)

    def clear(self) -> None:
        """Remove all checkpoints, once the trained model is stored."""
        for _, uri in self._stored():
            storage.remove(uri)
        local = storage.local_path(self.uri)
        # A file that a killed process left may belong to another process that is still at work.
        if local is not None and local.is_dir() and not any(local.iterdir()):
            storage.remove(self.uri)

    def _owner(self, model: keras.Model) -> str:
        # Another version of Keras may order the variables in another way.
        kinds = [f"{variable.dtype} {tuple(variable.shape)}" for variable in _variables(model)]
        digest = digest_arrays([np.array(kinds)])[:8]
        return f"{self.owner}, {len(kinds)} variables {digest} of keras {version('keras')}"

    def _stored(self) -> list[tuple[int, str]]:
        """Return epoch and URI of each checkpoint, the newest first."""
        names = [match for name in storage.sizes(self.uri) if (match := _NAME.fullmatch(name))]
        found = [(int(match[1]), storage.join(self.uri, match[0])) for match in names]
        return sorted(found, reverse=True)


def open_checkpoints(training: Training) -> Checkpoints:
    """Return the checkpoints of one training of a run."""
    owner = f"{training.name} of run {training.plan.run_id}"
    return Checkpoints(training.uri(CHECKPOINTS_FOLDER), owner)


def encode_checkpoint(checkpoint: Checkpoint, *, owner: str) -> bytes:
    """Return the bytes of a checkpoint: the digest of all that follows, and an npz archive.

    Args:
      owner: what is trained, see `decode_checkpoint`.
    """
    head = {"owner": owner, "epoch": checkpoint.epoch, "history": checkpoint.history}
    arrays: dict[str, Any] = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    for kind in ("variables", "best"):
        members = enumerate(getattr(checkpoint, kind))
        arrays |= {f"{kind}-{place:05d}": array for place, array in members}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    payload = buffer.getvalue()
    return xxhash.xxh3_128_digest(payload) + payload


def decode_checkpoint(data: bytes, *, owner: str) -> Checkpoint:
    """Return the checkpoint in bytes of `encode_checkpoint`.

    Args:
      owner: what is to be trained; a checkpoint of anything else is refused.

    Raises:
      ValueError: the bytes are damaged, or of another training.
    """
    payload = data[_DIGEST_BYTES:]
    if xxhash.xxh3_128_digest(payload) != data[:_DIGEST_BYTES]:
        raise ValueError("its digest does not hold, or another version wrote it")
    with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in sorted(stored.files)}
    head = json.loads(arrays["head"].tobytes())
    if head["owner"] != owner:
        raise ValueError(f"it is of {head['owner']}, not of {owner}")
    variables, best = (
        tuple(array for name, array in arrays.items() if name.startswith(kind))
        for kind in ("variables", "best")
    )
    return Checkpoint(head["epoch"], head["history"], variables, best)


def read_variables(model: keras.Model) -> Arrays:
    """Return copies of all variables of a compiled model, its optimiser and its seed generators."""
    return tuple(_copy(variable) for variable in _variables(model))


def assign_variables(model: keras.Model, values: Sequence[NDArray[Any]]) -> None:
    """Give the variables of a compiled model the values that `read_variables` returned."""
    for variable, value in zip(_variables(model), values, strict=True):
        variable.assign(value)


def read_weights(model: keras.Model) -> Arrays:
    """Return copies of a model's weights, in the order of `keras.Model.get_weights`."""
    return tuple(_copy(variable) for variable in model.weights)


def digest_arrays(arrays: Sequence[NDArray[Any]]) -> str:
    """Return the digest of the values, types and shapes of arrays, in their order."""
    digest = xxhash.xxh3_128()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _variables(model: keras.Model) -> list[Any]:
    # An optimiser has its slots from the first step on, unless it is built before.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _copy(variable: Any) -> NDArray[Any]:
    # Without the copy, some backends give a view of memory that the next step writes to.
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.copy(variable)))
