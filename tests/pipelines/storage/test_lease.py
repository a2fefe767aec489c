import os
import threading
import time
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.storage import cleanup as leases
from pipelines.storage.cleanup import VALID_SEC


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
