"""What reading costs where every few bytes mislead: `python -m tests.fuzz.hostile`.

A line for each file and size: processor time must grow as the size does, memory must not.
"""

import multiprocessing
import resource
import time
from typing import Final

import typer

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import Position, read_records
from tests.pipelines.convert.records import frame, header

MIB: Final = 2**20

UNITS: Final = {
    "headers that claim 8 MiB": header(8 * MIB + 5),
    "the same, each behind a record": frame(b"abc") + header(8 * MIB),
    "a foreign byte behind each record": frame(b"abc") + b"?",
    "empty records": frame(b""),
    "zeros": bytes(16),
}
"""What the files repeat, by name."""


def measure(name: str, size: int) -> None:
    """Reads one file and prints what that took."""
    unit = UNITS[name]
    data, num_read, num_items = unit * (size // len(unit)), 0, 0

    def read(start: int, end: int) -> bytes:
        nonlocal num_read
        num_read += end - start
        return data[start:end]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    start = Position(0, synced=True)
    for _ in read_records(Window(read, size=len(data)), start, len(data)):
        num_items += 1
    cpu_sec = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    typer.echo(
        f"{name:34} {size // MIB:3} MiB  {num_items:9,} items  {cpu_sec:6.1f} s  "
        f"read {num_read / len(data):.1f} times  {grown:3} MB more memory"
    )


def main() -> None:
    """Measures each file in sizes that double."""
    context = multiprocessing.get_context("spawn")
    for name in UNITS:
        for size in (12 * MIB, 24 * MIB, 48 * MIB):
            # The most memory a process ever had is all that it knows.
            child = context.Process(target=measure, args=(name, size))
            child.start()
            child.join()


if __name__ == "__main__":
    main()
