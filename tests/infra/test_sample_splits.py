import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import tensorflow as tf

from infra.sample import __main__ as sample_command
from infra.sample.catalogue import draw
from infra.sample.defects import DEFECTS
from infra.sample.splits import MIN_NOTES, NUM_NOTES, planted, write_splits
from pipelines.convert.job import convert
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError
from pipelines.notes import CLASSES, FAMILIES
from pipelines.parameters import MAX_DROPPED
from pipelines.train.selection.holdout import read_side
from pipelines.train.selection.run_plan import find_leaked
from pipelines.validate.verdicts import Validation, validate

SMALL = {"train": 44, "valid": 40, "test": 40}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_splits(str(folder), SMALL)
    return folder


@pytest.fixture(scope="module")
def validations(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Validation]:
    root = str(tmp_path_factory.mktemp("root"))
    found = {}
    for split in SMALL:
        uri, _ = convert([str(sample / f"nsynth-{split}.tfrecord")], root=root, max_quarantined=1.0)
        found[split] = validate(uri)
    return found


def column(validation: Validation, name: str) -> list[str]:
    values: list[str] = open_dataset(validation.manifest_uri).read([name])[name].to_pylist()
    return values


@pytest.mark.parametrize("split", SMALL)
def test_planted_is_what_conversion_and_validation_find(
    validations: dict[str, Validation], split: str
) -> None:
    expected = planted(split, SMALL[split])
    validation = validations[split]
    manifest = open_dataset(validation.manifest_uri).manifest
    assert validation.num_seen == expected.num_rows
    assert validation.dropped == {r: n for r, n in expected.verdicts.items() if r != "leaked"}
    assert manifest.quarantined == expected.quarantined
    assert len(manifest.spans) == expected.num_spans


def test_planted_leak_is_found_across_splits(validations: dict[str, Validation]) -> None:
    train, test = (read_side(validations[split]) for split in ("train", "test"))
    train.reasons[find_leaked(train, [test])] = "leaked"
    assert Counter(filter(None, train.reasons)) == planted("train", SMALL["train"]).verdicts


def test_planted_drops_stay_below_the_limit_by_default() -> None:
    for split in NUM_NOTES:
        expected = planted(split)
        verdicts = Counter(expected.verdicts)
        del verdicts["synth_lead"]
        assert verdicts.total() < MAX_DROPPED * expected.num_rows


def test_defects_each_have_an_intact_note_before_them() -> None:
    assert len(DEFECTS) <= MIN_NOTES


def test_write_splits_gives_each_split_its_families(validations: dict[str, Validation]) -> None:
    families = {split: set(v.families) for split, v in validations.items()}
    assert families == {split: set(CLASSES) for split in SMALL}
    assert set(column(validations["train"], "instrument_family_str")) == set(FAMILIES)


def test_draw_shares_instruments_between_valid_and_test_only() -> None:
    rosters = draw(NUM_NOTES, dict.fromkeys(NUM_NOTES, 30), seed=0)
    instruments = {s: {n.instrument_str for n in r.notes} for s, r in rosters.items()}
    assert instruments["valid"] == instruments["test"]
    assert not instruments["train"] & instruments["test"]
    drawn = [note.note_str for r in rosters.values() for note in (*r.notes, *r.spares)]
    assert len(set(drawn)) == len(drawn)


def test_draw_takes_more_instruments_for_more_notes() -> None:
    rosters = draw({"train": 5000, "valid": 0, "test": 0}, dict.fromkeys(SMALL, 0), seed=0)
    assert len(set(rosters["train"].notes)) == 5000


def test_write_splits_valid_is_read_by_tensorflow(sample: Path) -> None:
    records = tf.data.TFRecordDataset(str(sample / "nsynth-valid.tfrecord"))
    examples = [tf.train.Example.FromString(record.numpy()) for record in records]
    assert len(examples) == SMALL["valid"]
    assert {len(e.features.feature["audio"].float_list.value) for e in examples} == {64_000}


def test_write_splits_other_seed_other_bytes(sample: Path, tmp_path: Path) -> None:
    write_splits(str(tmp_path), SMALL, seed=1)
    for file in sample.iterdir():
        assert (tmp_path / file.name).read_bytes() != file.read_bytes()


def test_write_splits_leaves_whole_files_and_mends_others(tmp_path: Path) -> None:
    first = write_splits(str(tmp_path), SMALL)
    assert all(first.values())
    valid = tmp_path / "nsynth-valid.tfrecord"
    whole = valid.read_bytes()
    valid.write_bytes(whole[:1000])
    second = write_splits(str(tmp_path), SMALL)
    assert [Path(uri).name for uri, written in second.items() if written] == [valid.name]
    assert valid.read_bytes() == whole
    assert len(list(tmp_path.iterdir())) == 3


def test_write_splits_refuses_too_few_notes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the test split needs at least 40 notes, got 3"):
        write_splits(str(tmp_path), SMALL | {"test": 3})


def test_command_same_seed_same_bytes_in_another_process(sample: Path, tmp_path: Path) -> None:
    numbers = [word for split, num in SMALL.items() for word in (f"--notes-{split}", str(num))]
    done = command(str(tmp_path), *numbers)
    assert done.returncode == 0, done.stderr
    names = [f"nsynth-{split}.tfrecord" for split in SMALL]
    assert done.stderr.splitlines() == [f"{tmp_path / name} written" for name in names]
    for name in names:
        assert (tmp_path / name).read_bytes() == (sample / name).read_bytes()


def test_command_says_what_is_wrong_in_one_sentence(tmp_path: Path) -> None:
    done = command(str(tmp_path / "out"), "--notes-train", "3")
    assert done.returncode == 1
    assert done.stderr == "error: the train split needs at least 40 notes, got 3\n"


def test_command_refuses_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = command(str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_command_needs_no_tensorflow() -> None:
    code = "import sys, infra.sample.__main__; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.sample", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_command, "write_splits", interrupt)
    with pytest.raises(SystemExit) as ended:
        sample_command.sample(str(tmp_path))
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted; run it again to write what is missing\n"
