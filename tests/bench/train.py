"""Training through this project's loader against `fit` on the same arrays in memory.

    python -m tests.bench.train [MANIFEST] [--notes N] [--limit NOTES] [--repeats N]

Without a manifest, on generated notes. Both ways train in this process, an epoch of one after an
epoch of the other, the first of them in turn, with equal batches; the first epochs, which compile,
do not count. A ratio is the median of those of the pairs, and figures compare within one run only.
The last line is one JSON object.
"""

import argparse
import json
import tempfile
from pathlib import Path

# As every training process does first: what it sets must be set before NumPy is imported.
import flows  # noqa: F401
from tests.bench.training import generated, measure


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", nargs="?")
    parser.add_argument("--notes", type=int, default=8000, help="to generate without a manifest")
    parser.add_argument("--limit", type=int, default=512, help="notes to train on")
    parser.add_argument("--repeats", type=int, default=15, help="pairs of epochs, two at least")
    arguments = parser.parse_args()
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        manifest = arguments.manifest or generated(Path(folder), arguments.notes)
        result = measure(manifest, Path(folder), limit=arguments.limit, repeats=arguments.repeats)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
