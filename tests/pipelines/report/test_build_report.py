from pathlib import Path

import pytest

from infra.sample.splits import write_splits
from pipelines.convert.commit.manifest import Manifest
from pipelines.convert.job import convert
from pipelines.report.build import build_report
from pipelines.report.example_notes import note_values, open_readers
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    folder = tmp_path_factory.mktemp("sample")
    write_splits(str(folder), {"train": 40, "valid": 40, "test": 40})
    # So small a file is mostly planted defects.
    return convert(
        [str(folder / "nsynth-test.tfrecord")], root=str(folder), num_workers=1, max_quarantined=1.0
    )


def test_build_report_reads_the_data_set_and_changes_nothing_else(
    tmp_path: Path, dataset: tuple[str, Manifest]
) -> None:
    manifest_uri, manifest = dataset
    uri = write_run(
        tmp_path,
        num_notes=20,
        manifest_uri=manifest_uri,
        manifest_digest=manifest.manifest_digest,
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    report = Path(build_report(uri))
    assert report == tmp_path / "report.html"
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - set(before)
    assert written == {report, tmp_path / "report.md", tmp_path / "metrics.json"}
    assert all(path.read_bytes() == data for path, data in before.items())
    assert "waveform of a whole note" in report.read_text("utf-8")


def test_note_values_have_no_samples_of_another_data_set_or_of_none(
    tmp_path: Path, dataset: tuple[str, Manifest]
) -> None:
    other = load_results(write_run(tmp_path / "other", num_notes=20, manifest_uri=dataset[0]))
    found = note_values(other, *open_readers(other))
    assert "expected the data set c0ffee" in found["waveforms"].missing
    assert (found["waveforms"].audio, found["sounds"]) == ({}, {})
    gone = load_results(write_run(tmp_path / "gone", manifest_uri=str(tmp_path / "manifest.json")))
    missing = note_values(gone, *open_readers(gone))["waveforms"].missing
    assert missing.startswith("there is no file")
