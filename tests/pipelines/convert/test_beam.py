"""Ranges converted by threads of this process, as the local runner does."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from pipelines import storage
from pipelines.convert import beam
from pipelines.convert.beam import convert_together
from pipelines.convert.shards.plan import Parameters, Plan, plan
from pipelines.errors import DatasetError
from tests.listening import listeners
from tests.pipelines.convert.records import frame, note, tfrecord

NUM_RANGES = 24
NSYNTH = [str(Path(sys.executable).parent / "nsynth"), "convert"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A note for each of some ranges."""
    path = tmp_path / "nsynth-valid.tfrecord"
    path.write_bytes(tfrecord(*[note(number) for number in range(NUM_RANGES)]))
    return path


@pytest.fixture
def planned(source: Path, tmp_path: Path) -> Plan:
    size = source.stat().st_size // NUM_RANGES
    return plan([str(source)], root=str(tmp_path / "root"), parameters=Parameters(range_bytes=size))


@pytest.fixture
def hopeless(tmp_path: Path) -> Path:
    """More records that are no notes than a range may set aside: an error in a worker."""
    path = tmp_path / "hopeless.tfrecord"
    path.write_bytes(frame(b"?") * (2**16 + 1))
    return path


def num_threads() -> int:
    return sum(thread.name.startswith("convert") for thread in threading.enumerate())


@pytest.mark.parametrize("num", [1, 3, 100])
def test_convert_together_converts_each_range_once(planned: Plan, num: int) -> None:
    ranges = list(planned.ranges())
    outcomes = convert_together(ranges, folder=planned.folder, num_threads=num)
    names = sorted(shard.name for outcome in outcomes for shard in outcome.shards)
    assert names == sorted(byte_range.shard_name for byte_range in ranges)
    assert set(names) <= set(storage.sizes(storage.join(planned.folder, "data")))


def test_convert_together_begins_no_range_after_an_error(
    planned: Plan, hopeless: Path, tmp_path: Path
) -> None:
    (bad,) = plan([str(hopeless)], root=str(tmp_path), parameters=Parameters()).ranges()
    ranges = [bad, *planned.ranges()]
    with pytest.raises(DatasetError, match="more than 65536 records"):
        list(convert_together(ranges, folder=planned.folder, num_threads=1))
    assert not list(Path(planned.folder).glob("data/part-*"))
    assert not num_threads()


def test_run_listens_nowhere(planned: Plan) -> None:
    with listeners(os.getpid(), every_sec=0.001) as found:
        found.look(psutil.Process())
        before = set(found.found)
        beam.run(list(planned.ranges()), folder=planned.folder, num_workers=2)
    assert found.found == before


def test_run_prints_nothing_of_a_workers_error(
    hopeless: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planned = plan([str(hopeless)], root=str(tmp_path / "root"), parameters=Parameters())
    message = r"^more than 65536 records between bytes 0 and \d+ of hopeless.tfrecord are no notes"
    with pytest.raises(DatasetError, match=message):
        beam.run(list(planned.ranges()), folder=planned.folder, num_workers=2)
    assert capfd.readouterr() == ("", "")


def test_convert_asks_no_proxy_for_loopback(source: Path, tmp_path: Path) -> None:
    # Nothing listens there: whoever asks waits for an answer, or fails.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9")
    env = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    done = subprocess.run(
        [*NSYNTH, str(source), "--root", str(tmp_path / "root")],
        env=env | proxies,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_interrupted_convert_ends_at_once_and_is_resumed(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    # As many as take some time, so that the signal comes while they are converted.
    source.write_bytes(source.read_bytes() * 40)
    command = [*NSYNTH, str(source), "--root", str(root), "--range-mib", "1"]
    running = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with running:
        while not list(root.glob("notes/*/data/part-*")) and running.poll() is None:
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("nsynth: stopped; run the same command again to go on")
    assert "Traceback" not in err
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "; the others are stored" in again.stderr
