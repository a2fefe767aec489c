"""Where a killed training goes on: its checkpoints, stored with the run, an object an epoch.

Two processes that train the same model write the same objects; none sees half of one.
"""

import logging
import re
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.decisions import decided
from pipelines.train.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from pipelines.train.plan import RunPlan

_NAME: Final = re.compile(r"epoch-(\d{5,})\.npz")

_NUM_KEPT: Final = 2
"""The newest, and the one before it for when the newest is damaged."""

log = logging.getLogger(__name__)


def checkpoints_of(plan: RunPlan, name: str) -> "Checkpoints":
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
