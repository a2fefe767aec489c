"""Commands on roots: those that are not there, and those with an unusual name."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.convert.commit.quarantine import verify
from pipelines.convert.job import convert
from pipelines.errors import ConfigError
from pipelines.registry.clean import find_abandoned, find_stale_caches
from pipelines.registry.inventory import find_run, list_datasets, manifests_under
from pipelines.report.runs_index import build_index
from tests.flows.command import CHECKOUT, run, run_json
from tests.pipelines.convert.records import note, tfrecord

COMMANDS = (("list",), ("clean",), ("index", "--root"))


def refused(*arguments: str, cwd: Path = CHECKOUT) -> str:
    """The sentence of a command that fails."""
    done = run("nsynth", *arguments, cwd=cwd)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_root_that_is_not_there_is_an_error_and_is_not_made(
    command: Sequence[str], tmp_path: Path
) -> None:
    assert "there is no folder typo; check the path" in refused(*command, "typo", cwd=tmp_path)
    assert "write s3://bucket/x, or" in refused(*command, "s3:/bucket/x", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bucket_that_is_not_there_is_an_error(
    command: Sequence[str], bucket: str, direct: s3fs.S3FileSystem
) -> None:
    assert "there is no bucket 'no-such-bucket'" in refused(*command, "s3://no-such-bucket")
    assert f"there is nothing in {bucket}/typo" in refused(*command, f"{bucket}/typo")
    assert direct.find(bucket) == []


def test_a_mistyped_root_of_a_conversion_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.tfrecord").write_bytes(tfrecord(note(0)))
    arguments = ("convert", "notes.tfrecord", "--root", "s3:/bucket/x")
    assert "write s3://bucket/x, or ./s3:/bucket/x" in refused(*arguments, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.tfrecord"]


@pytest.mark.parametrize("name", ["a[b]", "[x]", "a?b", "a*b", "{a,b}", "[!a]*?"])
def test_a_root_and_a_source_of_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    for path in (folder, tmp_path / "ab", tmp_path / "axb"):
        path.mkdir()
    for number in range(2):
        (folder / f"n[{number}]?*.tfrecord").write_bytes(tfrecord(note(number)))
    root = str(folder / "root")
    uri, single = convert([str(folder / "n[0]?*.tfrecord")], root=root, num_workers=1)
    assert (single.num_notes, single.sources[0].name) == (1, "n[0]?*.tfrecord")
    _, both = convert([str(folder / "n*.tfrecord")], root=root, num_workers=1)
    assert both.num_notes == 2
    assert len(list_datasets(root)) == len(manifests_under(root)) == 2
    assert verify(uri).problems == ()
    assert find_abandoned(root, min_age_sec=0) == []
    assert find_stale_caches(root, min_age_sec=0) == []
    storage.put(storage.join(root, "runs", "0123456789abcdef", "run.json"), b"{}")
    assert find_run(root, "0123") == storage.join(root, "runs", "0123456789abcdef")
    with pytest.raises(ConfigError, match="no run 'ab' in"):
        find_run(root, "ab")
    assert "0123456789abcdef" in Path(build_index(root)).read_text()


def test_a_root_with_a_bracket_by_the_commands(tmp_path: Path) -> None:
    (tmp_path / "n[0].tfrecord").write_bytes(tfrecord(note(0)))
    root = str(tmp_path / "root[1]*")
    single = run_json("nsynth", "convert", str(tmp_path / "n[0].tfrecord"), "--root", root)
    assert single["num_notes"] == 1
    assert len(run_json("nsynth", "list", root)["datasets"]) == 1
    assert Path(run_json("nsynth", "index", "--root", root)["index"]).exists()


def test_list_shows_the_rest_where_the_registry_is_damaged(tmp_path: Path) -> None:
    storage.put(str(tmp_path / "registry" / "preliminary" / "00001.json"), b"{")
    (tmp_path / "registry" / "optimised").symlink_to("/mnt/nowhere")
    listed = run_json("nsynth", "list", str(tmp_path))
    assert listed["datasets"] == []
    assert "00001.json is not an entry" in listed["unknown_champions"]["preliminary"]
    assert "/mnt/nowhere, which does not exist" in listed["unknown_champions"]["optimised"]
    assert run("nsynth", "list", str(tmp_path)).returncode == 0
