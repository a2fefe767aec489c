"""How a conversion's time grows: with the bytes of a file, and with the number of its ranges.

    python -m tests.bench.growth FILE

Converts the first eighth, quarter, half and all of a file, and the first eighth in smaller and
smaller ranges, one worker each. The last line is one JSON object.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import flows  # noqa: F401 - as the command does: it settles how memory is kept
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters

RANGE_MIB = (128, 32, 8, 2)


def measured(source: Path, folder: str, *, range_mib: int = 128) -> dict[str, Any]:
    parameters = Parameters(range_bytes=range_mib * 2**20)
    root, begun = f"{folder}/notes", time.perf_counter()
    _, manifest = convert(
        [str(source)], root=root, parameters=parameters, num_workers=1, max_quarantined=1
    )
    seconds = time.perf_counter() - begun
    shutil.rmtree(root)
    return {
        "gb": round(source.stat().st_size / 1e9, 2),
        "ranges": -(-source.stat().st_size // parameters.range_bytes),
        "seconds": round(seconds, 2),
        "usec_per_note": round(1e6 * seconds / manifest.num_notes),
    }


def main(source: str) -> None:
    size = Path(source).stat().st_size
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        part = Path(folder) / "part.tfrecord"
        by_size, by_ranges = [], []
        for share in (8, 8, 4, 2, 1):
            with Path(source).open("rb") as whole, part.open("wb") as copy:
                shutil.copyfileobj(whole, copy, 2**23)
                copy.truncate(size // share)
            by_size.append(measured(part, folder))
        with part.open("r+b") as copy:
            copy.truncate(size // 8)
        by_ranges = [measured(part, folder, range_mib=mib) for mib in RANGE_MIB]
    # The first run of a process pays for what is loaded and allocated once.
    print(json.dumps({"by_size": by_size[1:], "by_ranges": by_ranges}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.bench.growth FILE")
    main(sys.argv[1])
