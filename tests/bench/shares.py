"""Where a conversion's time goes, one worker, in microseconds a note.

    python -m tests.bench.shares FILE

Each part is timed where it is called; `read` and `write` run in threads beside the others, and
`rest` is what remains of the time: Beam, framing, and what each note's row takes. The last line is
one JSON object.
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flows  # noqa: F401 - as the command does: it settles how memory is kept
from pipelines import storage
from pipelines.convert.formats import tfrecord
from pipelines.convert.job import convert
from pipelines.convert.reading import tfrecord_range as ranges
from pipelines.convert.shards import shard as shards

PARTS = {
    "read": (storage, "read_range"),
    "crc": (tfrecord, "masked_crc"),
    "decode": (ranges, "decode"),
    "resample": (ranges, "resample"),
    "rows": (shards, "build_shard"),
    "encode": (shards, "encode"),
    "write": (storage, "put"),
}
BESIDE = ("read", "write")


def timed(
    work: Callable[..., Any], name: str, seconds: defaultdict[str, float]
) -> Callable[..., Any]:
    def timed_work(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            seconds[name] += time.perf_counter() - begun

    return timed_work


def main(source: str) -> None:
    seconds = defaultdict[str, float](float)
    for name, (module, attribute) in PARTS.items():
        setattr(module, attribute, timed(getattr(module, attribute), name, seconds))
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        # The first run of a process pays for what is loaded and allocated once.
        for turn in range(2):
            seconds.clear()
            begun = time.perf_counter()
            root = f"{folder}/{turn}"
            _, manifest = convert([source], root=root, num_workers=1, max_quarantined=1)
            total = time.perf_counter() - begun
    seconds["rest"] = total - sum(seconds[name] for name in PARTS if name not in BESIDE)
    usec = {name: round(1e6 * value / manifest.num_notes) for name, value in seconds.items()}
    print(json.dumps({"usec_per_note": usec, "total": round(1e6 * total / manifest.num_notes)}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.bench.shares FILE")
    main(sys.argv[1])
