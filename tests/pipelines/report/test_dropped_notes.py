from dataclasses import replace
from pathlib import Path

import pytest

from infra.sample.splits import planted, write_splits
from pipelines.convert.job import convert
from pipelines.registry.runs import load_run, store_run
from pipelines.report.dropped_notes import (
    DroppedNotes,
    group_by_reason,
    load_dropped_notes,
)
from pipelines.report.results import load_results
from pipelines.validate.verdicts import validate
from tests.pipelines.report.run_folder import write_run

NUM_NOTES = {"train": 40, "valid": 40, "test": 40}


@pytest.fixture(scope="module")
def manifest_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A converted and judged test split, most of whose defects are planted."""
    folder = tmp_path_factory.mktemp("sample")
    write_splits(str(folder), NUM_NOTES)
    file = str(folder / "nsynth-test.tfrecord")
    uri, _ = convert([file], root=str(folder), num_workers=1, max_quarantined=1.0)
    validate(uri)
    return uri


def dropped_of(folder: Path, manifest_uri: str) -> DroppedNotes:
    """What a run lost that was tested on that data set."""
    uri = write_run(folder)
    record = load_run(uri)
    datasets = {**record.datasets, "test": validate(manifest_uri)}
    store_run(replace(record, datasets=datasets), uri)
    return load_dropped_notes(load_results(uri))["test"]


def test_load_dropped_notes_has_examples_of_each_reason(tmp_path: Path, manifest_uri: str) -> None:
    lost, expected = dropped_of(tmp_path, manifest_uri), planted("test", NUM_NOTES["test"])
    assert lost.missing == []
    assert {group.reason: group.num for group in lost.dropped} == expected.verdicts
    assert {group.reason: group.num for group in lost.quarantined} == expected.quarantined
    for group in (*lost.dropped, *lost.quarantined):
        assert len(group.examples) == min(group.num, 3)
        assert all(
            example.place.startswith("nsynth-test.tfrecord at ") for example in group.examples
        )


def test_load_dropped_notes_says_what_is_gone_and_keeps_the_counts(tmp_path: Path) -> None:
    lost = load_dropped_notes(load_results(write_run(tmp_path)))["test"]
    assert [(group.reason, group.num, group.examples) for group in lost.dropped] == [
        ("silent", 3, ())
    ]
    assert len(lost.missing) == 2
    assert "no examples of dropped notes: there is no file" in lost.missing[0]


def test_load_dropped_notes_shows_no_records_of_another_data_set(
    tmp_path: Path, manifest_uri: str
) -> None:
    uri = write_run(tmp_path, manifest_uri=manifest_uri)
    missing = " ".join(load_dropped_notes(load_results(uri))["test"].missing)
    assert "expected the data set c0ffee" in missing
    assert "converted again since" in missing


def test_load_dropped_notes_names_a_data_set_once(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    record = load_run(uri)
    test = record.datasets["test"]
    store_run(replace(record, datasets={"train": test, "test": test}), uri)
    assert list(load_dropped_notes(load_results(uri))) == ["train"]


def test_group_counts_and_keeps_the_first() -> None:
    rows = [
        {"reason": "crc", "name": f"{i}\x1b", "source_file": "a", "offset": 1000 + i, "length": 1}
        for i in range(5)
    ]
    (dropped,) = group_by_reason(rows)
    assert (dropped.reason, dropped.num, len(dropped.examples)) == ("crc", 5, 3)
    assert (dropped.examples[0].name, dropped.examples[0].place) == ("0\\x1b", "a at 1,000, 1 byte")
