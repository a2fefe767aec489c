"""The corruption matrix as a command: `python -m tests.fuzz.run --cases 10000 --seed 1`.

The last line is one JSON object. A case that fails is named, and `--kind`, `--first` and
`--cases 1` repeat it.
"""

import json
import resource
import sys
import time
import traceback
from collections import Counter
from typing import Annotated

import typer

from tests.fuzz.cases import KINDS, make_case
from tests.fuzz.check import check

NOTES_EVERY = 5
"""Kinds with real-size notes have their turn in one round of this many."""


def run(
    cases: Annotated[int, typer.Option(min=1, help="How many, over all kinds.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Same seed, same cases.")] = 0,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    first: Annotated[int, typer.Option(min=0, help="Number of the first case.")] = 0,
) -> None:
    """Damages files in every way known and checks what is read of them."""
    begun, failed, found = time.process_time(), list[str](), dict[str, Counter[str]]()
    for done, (name, number) in enumerate(turns(cases, kind, first), start=1):
        try:
            counts = outcome(name, number, seed=seed)
        except Exception:  # noqa: BLE001 - the run goes on, whatever a case does
            failed.append(f"--seed {seed} --kind {name} --first {number}")
            typer.echo(f"{traceback.format_exc()}\nFAILED {failed[-1]} --cases 1", err=True)
        else:
            found.setdefault(name, Counter()).update(counts)
        if done % 1000 == 0:
            typer.echo(f"{done} cases, {len(failed)} failed", err=True)
    for name, counts in sorted(found.items()):
        typer.echo(f"{name:20} " + " ".join(f"{key} {num:>9,}" for key, num in counts.items()))
    total = sum(found.values(), Counter[str]())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    typer.echo(
        json.dumps(
            {"seed": seed, "failed": failed, **total}
            | {"cpu_sec": round(time.process_time() - begun), "peak_rss_mb": peak_mb}
        )
    )
    sys.exit(bool(failed))


def turns(cases: int, kind: str | None, first: int) -> list[tuple[str, int]]:
    """Kind and number of each case: all kinds in turn, the costly ones seldom."""
    if kind is not None:
        return [(kind, first + number) for number in range(cases)]
    listed, number = list[tuple[str, int]](), first
    while len(listed) < cases:
        listed += [
            (name, number) for name in KINDS if "notes" not in name or number % NOTES_EVERY == 0
        ]
        number += 1
    return listed[:cases]


def outcome(name: str, number: int, *, seed: int) -> dict[str, int]:
    """Checks one case; gives what it held."""
    case = make_case(name, number, seed=seed)
    records, spans = check(case)
    return {
        "cases": 1,
        "bytes": len(case.damaged),
        "records": len(records),
        "spans": len(spans),
        "skipped_bytes": sum(span.length for span in spans),
    }


if __name__ == "__main__":
    typer.run(run)
