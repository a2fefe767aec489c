"""Memory of a conversion's whole process tree, and its speed over time.

    python -m tests.bench.memory SOURCE [WORKERS]

Runs `nsynth convert` in a process of its own and looks at it twice a second. The last line is one
JSON object.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pipelines import storage


def tree_bytes(root: psutil.Process) -> int:
    """Resident bytes of a process and all below it; those that end meanwhile count nothing."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def main(source: str, workers: str) -> None:
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        command = [str(Path(sys.executable).parent / "nsynth"), "convert", source]
        options = ["--root", folder, "--workers", workers, "--max-quarantined", "1", "--json"]
        begun = time.monotonic()
        peaks, shards = list[int](), list[tuple[float, int]]()
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as running:
            root = psutil.Process(running.pid)
            while running.poll() is None:
                peaks.append(tree_bytes(root))
                num = sum(1 for _ in Path(folder).glob("notes/*/data/part-*.parquet"))
                shards.append((time.monotonic() - begun, num))
                time.sleep(0.5)
            assert running.stdout
            result = json.loads(running.stdout.read().splitlines()[-1])
        seconds = time.monotonic() - begun
    size, _ = storage.identity(source)
    quarters = [max(num for sec, num in shards if sec <= seconds * q / 4) for q in range(1, 5)]
    print(
        json.dumps(
            {
                "source_gb": round(size / 1e9, 2),
                "num_notes": result["num_notes"],
                "workers": int(workers),
                "seconds": round(seconds, 1),
                "notes_per_second": round(result["num_notes"] / seconds, 1),
                "peak_mb": round(max(peaks) / 1e6),
                "median_mb": round(sorted(peaks)[len(peaks) // 2] / 1e6),
                "shards_by_quarter_of_the_time": quarters,
            }
        )
    )


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python -m tests.bench.memory SOURCE [WORKERS]")
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "2")
