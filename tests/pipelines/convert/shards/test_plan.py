import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan, plan
from pipelines.errors import ConfigError

SMALL = Parameters(range_bytes=40)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "nsynth-valid.tfrecord"
    path.write_bytes(bytes(100))
    return path


def test_plan_cuts_sources_into_named_ranges(source: Path) -> None:
    other = source.with_name("other.tfrecord")
    other.write_bytes(bytes(40))
    planned = plan([str(source), str(other)], root="root", parameters=SMALL)
    assert [(r.shard_name, r.begin, r.end) for r in planned.ranges()] == [
        ("part-00000-000000000000000.parquet", 0, 40),
        ("part-00000-000000000000040.parquet", 40, 80),
        ("part-00000-000000000000080.parquet", 80, 100),
        ("part-00001-000000000000000.parquet", 0, 40),
    ]
    assert planned.source_bytes == 140


@given(st.lists(st.integers(1, 500), min_size=1, max_size=3), st.integers(1, 600))
def test_ranges_hold_each_byte_once(sizes: list[int], range_bytes: int) -> None:
    sources = tuple(Source(str(i), str(i), size, "") for i, size in enumerate(sizes))
    ranges = list(Plan("", "", sources, Parameters(range_bytes=range_bytes)).ranges())
    held = [(r.file, byte) for r in ranges for byte in range(r.begin, r.end)]
    assert held == [(file, byte) for file, size in enumerate(sizes) for byte in range(size)]
    assert len({r.shard_name for r in ranges}) == len(ranges)


def test_plan_of_the_same_request_has_the_same_folder(source: Path) -> None:
    first = plan([str(source)], root="root", parameters=SMALL)
    again = plan([os.path.relpath(source)], root="./root/", parameters=SMALL)
    assert first == again
    assert first.manifest_uri == str(Path.cwd() / "root/notes" / first.dataset_id / "manifest.json")


def test_plan_of_another_root_has_the_same_id(source: Path) -> None:
    first = plan([str(source)], root="root", parameters=SMALL)
    other = plan([str(source)], root="s3://bucket/root", parameters=SMALL)
    assert first.dataset_id == other.dataset_id
    assert other.folder == f"s3://bucket/root/notes/{first.dataset_id}"


def test_plan_of_a_changed_source_has_another_id(source: Path) -> None:
    def dataset_id(parameters: Parameters = SMALL) -> str:
        return plan([str(source)], root="root", parameters=parameters).dataset_id

    first = dataset_id()
    os.utime(source, (0, 1))
    touched = dataset_id()
    assert len({first, touched, dataset_id(Parameters(range_bytes=41))}) == 3


def test_plan_names_sources_by_the_shortest_ends_that_differ(tmp_path: Path) -> None:
    paths = [tmp_path / "a/x.tfrecord", tmp_path / "b/x.tfrecord", tmp_path / "b/y.tfrecord"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0")

    def names(*chosen: Path) -> list[str]:
        planned = plan([str(path) for path in chosen], root="root", parameters=SMALL)
        return [source.name for source in planned.sources]

    assert names(paths[1], paths[2]) == ["x.tfrecord", "y.tfrecord"]
    assert names(*paths) == ["a/x.tfrecord", "b/x.tfrecord", "b/y.tfrecord"]


def test_plan_names_a_link_as_the_user_does(source: Path) -> None:
    stored = source.rename(source.with_name("3f9c0d"))
    source.symlink_to(stored)
    os.utime(stored, (0, 7))
    (found,) = plan([str(source)], root="root", parameters=SMALL).sources
    assert (found.name, found.size, found.tag) == ("nsynth-valid.tfrecord", 100, "7.0")


def test_plan_expands_a_pattern_in_order(source: Path) -> None:
    for name in ("nsynth-test.tfrecord", "nsynth-train.tfrecord", "notes.json"):
        source.with_name(name).write_bytes(b"\0")
    planned = plan([f"{source.parent}/*.tfrecord"], root="root", parameters=SMALL)
    assert [found.name for found in planned.sources] == [
        "nsynth-test.tfrecord",
        "nsynth-train.tfrecord",
        "nsynth-valid.tfrecord",
    ]


def test_plan_refuses_what_it_cannot_convert(source: Path) -> None:
    (source.parent / "empty").touch()
    for sources, message in [
        ([], "there is nothing to convert; name at least one TFRecord file"),
        ([f"{source}x"], f"there is no file {source}x; check the path"),
        ([f"{source.parent}/empty"], "empty is empty; expected a TFRecord file"),
        ([str(source.parent)], "there is no examples.json in the folder .*; name TFRecord files"),
        ([str(source), str(source)], "is named twice; name each source once"),
        ([f"{source.parent}/*.wav"], r"no file matches .*/\*.wav; check the path"),
        (["gopher://host/x"], "cannot open gopher://host/x: Protocol not known"),
    ]:
        with pytest.raises(ConfigError, match=message):
            plan(sources, root="root", parameters=SMALL)


@pytest.mark.parametrize("name", ["gone.tfrecord", "./gone/*.tfrecord", "../gone.tfrecord"])
def test_plan_says_what_a_relative_path_is_relative_to(
    name: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    with pytest.raises(ConfigError) as refused:
        plan([name], root="root", parameters=SMALL)
    said = f"({name} is relative to {source.parent}, where the work runs); check the path"
    assert str(refused.value).endswith(said)
    assert plan([source.name], root="root", parameters=SMALL).source_bytes == 100


def test_parameters_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="range_bytes must be at least 1, got 0"):
        Parameters(range_bytes=0)
    for num_samples in (0, 999, 64_001):
        expected = f"num_samples must be from 1000 to 64000, got {num_samples}"
        with pytest.raises(ConfigError, match=expected):
            Parameters(num_samples=num_samples)


def test_plan_makes_another_data_set_for_another_number_of_samples(source: Path) -> None:
    plans = [
        plan([str(source)], root="root", parameters=replace(SMALL, num_samples=num_samples))
        for num_samples in (1_000, 8_000, 64_000)
    ]
    assert len({planned.folder for planned in plans}) == 3
    assert {r.num_samples for r in plans[0].ranges()} == {1_000}
