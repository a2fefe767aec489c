"""Files that are shards of one: NAME-00002-of-00016, and those of them that are absent."""

import logging
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.text import listed

# Five digits, as TensorFlow Datasets and Beam write them.
_SHARD: Final = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<end>[^/]*)")

log = logging.getLogger(__name__)


class _File(NamedTuple):
    """A file in shards, of whose names only the number differs."""

    stem: str
    total: str
    end: str

    def shard(self, number: int) -> str:
        """Return the path of one shard."""
        return f"{self.stem}-{number:05d}-of-{self.total}{self.end}"


def check_complete(pattern: str, paths: Iterable[str]) -> None:
    """Check that all shards which a pattern stands for are there.

    A pattern that leaves shards out, as `*-0000*-of-01024` does, stands for the others only.

    Raises:
      ConfigError: some are not.
    """
    for file, absent in _absent(paths):
        names = [storage.name(file.shard(number)) for number in absent]
        named = [name for name in names if fnmatchcase(name, storage.name(pattern))]
        if named:
            raise ConfigError(
                f"{pattern} stands for shards of which {len(named)} of {int(file.total)} are not "
                f"there: {listed(named)}; add them, or name the shards to convert one by one"
            )


def warn_of_absent(paths: Iterable[str]) -> None:
    """Say in the log which shards are not among those to convert."""
    for file, absent in _absent(paths):
        log.warning(
            "%d of %d shards are not among the sources: %s",
            len(absent),
            int(file.total),
            listed([storage.name(file.shard(number)) for number in absent]),
        )


def _absent(paths: Iterable[str]) -> Iterator[tuple[_File, list[int]]]:
    """Yield each file in shards of which some are absent, and the numbers of those."""
    present: dict[_File, set[int]] = {}
    for path in paths:
        if match := _SHARD.fullmatch(path):
            file = _File(match["stem"], match["total"], match["end"])
            present.setdefault(file, set()).add(int(match["number"]))
    for file, numbers in present.items():
        if absent := sorted(set(range(int(file.total))) - numbers):
            yield file, absent
