import pytest

from pipelines.notes import OFFICIAL_SPLITS, named_split
from pipelines.validate.verdicts import compare_with_official

TRAIN, VALID, TEST = OFFICIAL_SPLITS


@pytest.mark.parametrize(
    ("names", "num_records", "families", "sentence"),
    [
        (("notes.tfrecord",), 4_096, {}, ""),
        (("nsynth-test.tfrecord", "more.tfrecord"), 4_096, {}, ""),
        (("nsynth-test.tfrecord", "nsynth-valid.tfrecord"), 4_096, {}, ""),
        (
            ("nsynth-test.tfrecord",),
            4_095,
            dict(TEST.families),
            "4,095 records, where the official test split has 4,096: this is not that split.",
        ),
        (
            ("nsynth-test.tfrecord",),
            4_096,
            {**TEST.families, "bass": 842, "vocal": 142},
            "As many records as the official test split, but not the same families: "
            "bass 842 for 843, vocal 142 for 141.",
        ),
        (
            ("nsynth-test.tfrecord",),
            4_096,
            dict(TEST.families),
            "All 4,096 records of the official test split.",
        ),
        (
            ("2017/nsynth-train.tfrecord",),
            289_205,
            dict(TRAIN.families),
            "All 289,205 records of the official train split.",
        ),
        (
            ("nsynth-valid.tfrecord",),
            12_678,
            {},
            "All 12,678 records of the official valid split.",
        ),
    ],
)
def test_compare_with_official_says_it_in_a_sentence(
    names: tuple[str, ...], num_records: int, families: dict[str, int], sentence: str
) -> None:
    found = compare_with_official(names, num_records=num_records, families=families)
    assert found == sentence


def test_official_families_add_up_where_they_are_published() -> None:
    assert sum(TRAIN.families.values()) == TRAIN.num_notes == 289_205
    assert sum(TEST.families.values()) == TEST.num_notes == 4_096
    assert VALID.num_notes == 12_678


@pytest.mark.parametrize(
    ("file_name", "split"),
    [
        ("nsynth-test.tfrecord", TEST),
        ("s3://bucket/nsynth-train.tfrecord.gz", TRAIN),
        ("nsynth-valid", VALID),
        ("nsynth-validation.tfrecord", None),
        ("nsynth.tfrecord", None),
        ("test.tfrecord", None),
    ],
)
def test_named_split_reads_the_files_name(file_name: str, split: object) -> None:
    assert named_split(file_name) is split
