import shutil
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.errors import ConfigError


def test_check_writable_makes_a_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    storage.check_writable(str(tmp_path / "new/root"))
    assert list((tmp_path / "new/root").iterdir()) == []


def test_check_writable_leaves_a_bucket_empty(
    bucket: str, direct: s3fs.S3FileSystem, caplog: pytest.LogCaptureFixture
) -> None:
    storage.check_writable(f"{bucket}/root")
    assert direct.find(bucket) == []
    assert "create-if-absent" not in caplog.text


def test_check_writable_refuses_a_root_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*: Not a directory; check the path and"):
        storage.check_writable(str(tmp_path / "file" / "root"))


def test_check_writable_refuses_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(ConfigError, match=r"cannot make the folder .*/root: File exists"):
        storage.check_writable(str(tmp_path / "root"))


def test_check_writable_refuses_a_root_that_nobody_can_make() -> None:
    with pytest.raises(ConfigError, match="cannot make the folder /proc/nsynth/root: No such file"):
        storage.check_writable("/proc/nsynth/root")


def test_free_bytes_is_of_the_disk_and_unknown_elsewhere(tmp_path: Path) -> None:
    free = storage.free_bytes(str(tmp_path / "not/yet/there"))
    assert free is not None
    assert 0 < free <= shutil.disk_usage(tmp_path).total
    assert storage.free_bytes("s3://bucket/root") is None
