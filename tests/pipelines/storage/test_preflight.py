import shutil
from collections.abc import Callable
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


def test_check_exists_takes_what_is_there(root: str, tmp_path: Path, bucket: str) -> None:
    storage.put(storage.join(root, "notes", "object"), b"content")
    for uri in (root, f"{root}/", storage.join(root, "notes"), storage.join(root, "notes/object")):
        storage.check_exists(uri)
    # Empty is not absent.
    storage.check_exists(bucket)
    (tmp_path / "empty").mkdir()
    storage.check_exists(str(tmp_path / "empty"))


def test_check_exists_refuses_what_is_not_and_makes_nothing(
    root: str, tmp_path: Path, direct: s3fs.S3FileSystem
) -> None:
    with pytest.raises(ConfigError, match=r"there is no(thing in| folder) \S+typo; check the path"):
        storage.check_exists(storage.join(root, "typo"))
    assert list(tmp_path.iterdir()) == []
    if root.startswith("s3://"):
        assert direct.find(root) == []


@pytest.mark.parametrize("below", ["", "/", "/root", "/root/"])
@pytest.mark.parametrize("verb", [storage.check_exists, storage.sizes, storage.list_folders])
def test_a_bucket_that_is_not_there_is_not_an_empty_one(
    s3_environment: None, below: str, verb: Callable[[str], object]
) -> None:
    with pytest.raises(ConfigError, match="there is no bucket 'no-such-bucket' for s3://no-such"):
        verb(f"s3://no-such-bucket{below}")


def test_check_exists_says_which_link_is_broken(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to("/mnt/nowhere")
    for place in ("root", "root/notes"):
        with pytest.raises(ConfigError, match="root is a link to /mnt/nowhere, which does not"):
            storage.check_exists(str(tmp_path / place))
