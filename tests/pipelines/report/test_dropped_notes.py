from dataclasses import replace
from pathlib import Path

import pytest

from infra.sample.splits import planted, write_splits
from pipelines.convert.job import convert
from pipelines.registry.runs import load_run, store_run
from pipelines.report.dropped_notes import NUM_EXAMPLES, Losses, by_reason, load_losses
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


def losses_of(folder: Path, manifest_uri: str) -> Losses:
    """The losses of a run that was tested on that data set."""
    uri = write_run(folder)
    record = load_run(uri)
    datasets = {**record.datasets, "test": validate(manifest_uri)}
    store_run(replace(record, datasets=datasets), uri)
    return load_losses(load_results(uri))["test"]


def test_load_losses_has_examples_of_each_reason(tmp_path: Path, manifest_uri: str) -> None:
    losses, expected = losses_of(tmp_path, manifest_uri), planted("test", NUM_NOTES["test"])
    assert losses.missing == []
    assert {loss.reason: loss.num for loss in losses.dropped} == expected.verdicts
    assert {loss.reason: loss.num for loss in losses.quarantined} == expected.quarantined
    for loss in (*losses.dropped, *losses.quarantined):
        assert len(loss.examples) == min(loss.num, NUM_EXAMPLES)
        assert all(of.place.startswith("nsynth-test.tfrecord at ") for of in loss.examples)


def test_load_losses_says_what_is_gone_and_keeps_the_counts(tmp_path: Path) -> None:
    losses = load_losses(load_results(write_run(tmp_path)))["test"]
    assert [(loss.reason, loss.num, loss.examples) for loss in losses.dropped] == [
        ("silent", 3, ())
    ]
    assert len(losses.missing) == 2
    assert "no examples of dropped notes: there is no file" in losses.missing[0]


def test_load_losses_shows_no_records_of_another_data_set(
    tmp_path: Path, manifest_uri: str
) -> None:
    uri = write_run(tmp_path, manifest_uri=manifest_uri)
    missing = " ".join(load_losses(load_results(uri))["test"].missing)
    assert "expected the data set c0ffee" in missing
    assert "converted again since" in missing


def test_load_losses_names_a_data_set_once(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    record = load_run(uri)
    test = record.datasets["test"]
    store_run(replace(record, datasets={"train": test, "test": test}), uri)
    assert list(load_losses(load_results(uri))) == ["train"]


def test_by_reason_counts_and_keeps_the_first() -> None:
    rows = [
        {"reason": "crc", "what": f"{i}\x1b", "source_file": "a", "offset": 1000 + i, "length": 1}
        for i in range(5)
    ]
    (loss,) = by_reason(rows)
    assert (loss.reason, loss.num, len(loss.examples)) == ("crc", 5, NUM_EXAMPLES)
    assert (loss.examples[0].what, loss.examples[0].place) == ("0\\x1b", "a at 1,000, 1 byte")
