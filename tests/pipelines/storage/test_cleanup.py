import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.storage import cleanup as leases
from pipelines.storage.cleanup import VALID_SEC

DAY = 24 * 3600.0

KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.storage.writing import temporary_beside
with temporary_beside(Path(sys.argv[1]), b"content"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a writer leaves that is killed between its temporary file and the rename."""
    target = tmp_path / "notes" / "part-00000.parquet"
    subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    (left,) = target.parent.iterdir()
    return left


def test_sweep_uploads_removes_what_a_killed_writer_left(tmp_path: Path, killed: Path) -> None:
    others = [tmp_path / name for name in (".hidden", ".a.b", "notes/part-00001.parquet")]
    for path in others:
        path.touch()
    for path in (killed, *others):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    assert storage.sweep_uploads(str(tmp_path), DAY, dry_run=True) == [str(killed)]
    assert killed.exists()
    assert storage.sweep_uploads(str(tmp_path), DAY) == [str(killed)]
    assert not killed.exists()
    assert all(path.exists() for path in others)
    assert storage.sweep_uploads(str(tmp_path), DAY) == []


def test_sweep_uploads_leaves_the_young_alone(tmp_path: Path, killed: Path) -> None:
    assert storage.sweep_uploads(str(tmp_path), DAY) == []
    assert killed.exists()


def test_sweep_uploads_of_nothing_finds_nothing(root: str) -> None:
    assert storage.sweep_uploads(storage.join(root, "nothing"), 0) == []


def test_sweep_uploads_aborts_stale_ones_under_the_prefix_only(
    bucket: str, direct: s3fs.S3FileSystem
) -> None:
    name = bucket.removeprefix("s3://")
    for key in ("root/part", "root/notes/part", "root2/part"):
        direct.call_s3("create_multipart_upload", Bucket=name, Key=key)

    def left() -> list[str]:
        return sorted(upload["Key"] for upload in direct.list_multipart_uploads(name))

    # moto says of each upload that it began in 2010.
    assert storage.sweep_uploads(f"{bucket}/root", 1000 * 365 * DAY) == []
    expected = [f"{bucket}/root/notes/part", f"{bucket}/root/part"]
    assert storage.sweep_uploads(f"{bucket}/root", DAY, dry_run=True) == expected
    assert len(left()) == 3
    assert storage.sweep_uploads(f"{bucket}/root", DAY) == expected
    assert left() == ["root2/part"]
    assert storage.sweep_uploads(bucket, DAY) == [f"{bucket}/root2/part"]
    assert left() == []


def test_sweep_uploads_removes_a_probe_that_was_left(bucket: str) -> None:
    storage.put(f"{bucket}/root/notes/.nsynth-probe-0123456789abcdef", b"first")
    storage.put(f"{bucket}/root/notes/part", b"content")
    assert storage.sweep_uploads(f"{bucket}/root", DAY) == []
    found = storage.sweep_uploads(f"{bucket}/root", -60)
    assert found == [f"{bucket}/root/notes/.nsynth-probe-0123456789abcdef"]
    assert storage.sizes(f"{bucket}/root/notes") == {"part": 7}


def test_leased_leaves_the_folder_as_it_was(root: str) -> None:
    folder = storage.join(root, "notes")
    with storage.leased(folder, "convert") as own:
        assert storage.list_names(folder) == {storage.name(own)}
    assert storage.list_names(folder) == set()


def test_is_at_work_sees_the_other_kind_and_not_itself(root: str) -> None:
    with storage.leased(root, "convert") as own:
        assert not storage.is_at_work(root, "convert", own=own)
        assert not storage.is_at_work(root, "clean", own=own)
        with storage.leased(root, "clean") as other, storage.leased(root, "convert"):
            assert storage.is_at_work(root, "convert", own=own)
            assert storage.is_at_work(root, "clean", own=own)
            assert storage.is_at_work(root, "convert", own=other)


def test_a_lease_of_a_killed_process_ends_and_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".nsynth-lease-convert-0123456789abcdef"
    left.touch()
    with storage.leased(str(tmp_path), "clean") as own:
        assert storage.is_at_work(str(tmp_path), "convert", own=own)
        assert storage.sweep_uploads(str(tmp_path), 0) == []
        os.utime(left, (time.time() - VALID_SEC - 1,) * 2)
        assert not storage.is_at_work(str(tmp_path), "convert", own=own)
        assert storage.sweep_uploads(str(tmp_path), 0) == [str(left)]


def test_a_lease_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEW_SEC", 0.01)
    with storage.leased(str(tmp_path), "convert") as own:
        os.utime(own, (0, 0))
        begun = time.monotonic()
        while Path(own).stat().st_mtime == 0 and time.monotonic() - begun < 60:
            time.sleep(0.01)
        assert time.time() - Path(own).stat().st_mtime < 60


def test_wait_for_waits_until_the_other_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leases, "_POLL_SEC", 0.01)
    caplog.set_level("INFO")
    with storage.leased(str(tmp_path), "convert") as own:
        with storage.leased(str(tmp_path), "clean"):
            waiting = threading.Thread(
                target=storage.wait_for, args=(str(tmp_path), "clean"), kwargs={"own": own}
            )
            waiting.start()
            waiting.join(0.1)
            assert waiting.is_alive()
        waiting.join(60)
        assert not waiting.is_alive()
    assert caplog.text.count("waiting for another process (clean)") == 1
