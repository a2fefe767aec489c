"""kill -9 of conversions at random moments, each run again: `python -m tests.fuzz.kill --kills 50`.

A moment is chosen by what is stored, not by the clock, so that all phases are hit on any machine.
The last line is one JSON object.
"""

import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Annotated, Final

import typer

from pipelines.convert.commit.manifest import load_manifest
from pipelines.convert.commit.quarantine import verify
from pipelines.convert.commit.readme import readme
from tests.pipelines.convert.records import flipped, frame, note, tfrecord

RANGE_BYTES: Final = 300_000
MAX_DELAY_SEC: Final = 0.05

# Each child is a fork of one process that has imported Beam, which takes seconds.
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pipelines.convert.job"])


@dataclass(frozen=True)
class Moment:
    """When a conversion is killed.

    Attributes:
      num_shards: at least so many are stored.
      then: a file that is stored too; none if empty.
      delay_sec: to wait from then on.
    """

    num_shards: int
    then: str
    delay_sec: float

    def has_come(self, folder: Path) -> bool:
        """Whether all that is there."""
        shards = list(folder.glob("data/part-*.parquet"))
        return len(shards) >= self.num_shards and (not self.then or (folder / self.then).exists())


def write_source(path: Path) -> None:
    """Notes, damage, and a payload with notes in it, for which ranges are converted again."""
    inner = tfrecord(*[note(number) for number in (20, 21, 22)])
    path.write_bytes(
        tfrecord(*[note(number) for number in range(4)])
        + frame(b"x" * 1000 + inner)
        + flipped(frame(note(4)), 99_999)
        + tfrecord(*[note(number) for number in range(5, 9)])
        + b"\xff" * 400_000
        + tfrecord(note(9))
    )


def moment_of(rng: Random, num_shards: int) -> Moment:
    """Half of them while shards are written, half in the short time from there to the end."""
    delay_sec = rng.uniform(0, MAX_DELAY_SEC)
    if rng.random() < 0.5:
        return Moment(rng.randrange(num_shards), "", delay_sec)
    then = rng.choice(["", "quarantine/spans.parquet", "README.md", "manifest.json"])
    return Moment(num_shards, then, delay_sec * rng.choice([0, 0.1, 1]))


def convert(source: str, root: str) -> None:
    """The conversion that is killed; runs in a child."""
    from pipelines.convert.job import convert as run  # noqa: PLC0415 - the parent needs no Beam
    from pipelines.convert.shards.plan import Parameters  # noqa: PLC0415

    parameters = Parameters(range_bytes=RANGE_BYTES)
    run([source], root=root, parameters=parameters, num_workers=2, max_quarantined=1)


@contextmanager
def converting(source: Path, root: Path) -> Iterator[ForkServerProcess]:
    """A child that converts."""
    child = _CONTEXT.Process(target=convert, args=(str(source), str(root)))
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()


def folder_of(root: Path) -> Path:
    """Where a conversion stores; a folder that is not there until it does."""
    return next(root.glob("notes/*"), root / "notes" / "none")


def convert_to_the_end(source: Path, root: Path) -> Path:
    """Converts without a kill; gives the manifest."""
    with converting(source, root) as child:
        child.join()
        assert child.exitcode == 0, f"the conversion ended with {child.exitcode}"
    return folder_of(root) / "manifest.json"


def kill_at(moment: Moment, source: Path, root: Path) -> str:
    """Starts a conversion and kills it; says how far it was."""
    with converting(source, root) as child:
        while child.is_alive() and not moment.has_come(folder_of(root)):
            time.sleep(0.001)
        time.sleep(moment.delay_sec)
    return phase(folder_of(root))


def phase(folder: Path) -> str:
    """How far a conversion is, by the last file that it has stored."""
    for name in ("manifest.json", "README.md", "quarantine/spans.parquet"):
        if (folder / name).exists():
            return f"with {name}"
    num_shards = len(list(folder.glob("data/part-*.parquet")))
    return f"with {num_shards:2d} shards" if num_shards else "with nothing"


def check_rerun(source: Path, root: Path, clean: Path) -> None:
    """Converts again after a kill and compares with a conversion that was never killed."""
    uri = convert_to_the_end(source, root)
    manifest, expected = load_manifest(str(uri)), load_manifest(str(clean))
    assert manifest == expected
    assert verify(str(uri)).problems == ()
    assert uri.with_name("README.md").read_text() == readme(manifest)
    stored = {path.relative_to(uri.parent) for path in visible(uri.parent)}
    assert stored == {path.relative_to(clean.parent) for path in visible(clean.parent)}


def visible(folder: Path) -> list[Path]:
    """The files that a reader sees; a kill may leave hidden temporary ones behind."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]


def kill_often(folder: Path, *, kills: int, seed: int) -> Iterator[tuple[int, str, int]]:
    """Kills conversions of one source and checks each rerun.

    Yields:
      The number of the kill, how far the conversion was, and the temporary files it left.

    Raises:
      AssertionError: a rerun does not end as a conversion that was never killed.
    """
    rng = Random(seed)  # noqa: S311 - nothing is kept secret
    source = folder / "nsynth-train.tfrecord"
    write_source(source)
    clean = convert_to_the_end(source, folder / "clean")
    num_shards = len(load_manifest(str(clean)).shards)
    for number in range(kills):
        root = folder / f"killed-{number}"
        reached = kill_at(moment_of(rng, num_shards), source, root)
        num_hidden = sum(path.name[0] == "." for path in root.rglob("*"))
        check_rerun(source, root, clean)
        yield number, reached, num_hidden


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many conversions are killed.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    """Kills conversions at random moments and runs each again to its end."""
    phases, num_left, failed = Counter[str](), 0, ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, reached, num_hidden in kill_often(Path(folder), kills=kills, seed=seed):
                typer.echo(f"kill {number}: {reached}", err=True)
                phases[reached] += 1
                num_left += num_hidden
        except AssertionError as err:
            failed = str(err)
    result = {"seed": seed, "kills": phases.total(), "failed": failed, "temporary_files": num_left}
    typer.echo(json.dumps(result | {"killed": dict(sorted(phases.items()))}))
    sys.exit(bool(failed))


if __name__ == "__main__":
    typer.run(main)
