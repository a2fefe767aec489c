import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines.train.devices import _container_bytes, available_bytes, machine_bytes

FAULTS = """
import resource
from pipelines.train.devices import keep_freed_memory
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


def test_memory_is_part_of_this_machines(tmp_path: Path) -> None:
    assert 0 < available_bytes() < psutil.virtual_memory().total
    assert 2**28 < machine_bytes() <= psutil.virtual_memory().total == machine_bytes(tmp_path)


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_machine_bytes_are_those_of_the_container(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("4096\n")
    assert machine_bytes(tmp_path) == 4096


def test_available_bytes_are_those_of_the_container(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("300\n")
    (tmp_path / "memory.stat").write_text("inactive_file 100\n")
    assert available_bytes(tmp_path) == 800


@pytest.mark.parametrize(
    ("limit", "current", "inactive", "expected"),
    [("1000", "300", "100", 800), ("1000", "1200", "100", 0), ("max", "300", "100", None)],
)
def test_container_bytes_is_what_the_limit_leaves(
    tmp_path: Path, limit: str, current: str, inactive: str, expected: int | None
) -> None:
    # As version 2 of the kernel's control groups shows them.
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{current}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\nactive_file 7\n")
    assert _container_bytes(tmp_path) == expected


def test_container_bytes_is_unknown_outside_a_container(tmp_path: Path) -> None:
    assert _container_bytes(tmp_path) is None
