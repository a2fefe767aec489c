import subprocess
import sys

import pytest

FAULTS = """
import resource
from pipelines.train.memory import keep_freed_memory
if not keep_freed_memory():
    raise SystemExit("unknown")
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(2**26)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has these settings")
def test_keep_freed_memory_takes_freed_memory_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=False
    )
    if "unknown" in done.stderr:
        pytest.skip("this system's malloc has no such settings")
    pages = 2**26 // 4096
    assert int(done.stdout) < pages / 10
