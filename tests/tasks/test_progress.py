import pytest

from tasks.progress import artifact_key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("convert nsynth-train.tfrecord", "convert-nsynth-train-tfrecord"),
        ("convert *.TFRecord.gz", "convert-tfrecord-gz"),
        ("train optimised 85e4908752c5721b", "train-optimised-85e4908752c5721b"),
    ],
)
def test_artifact_key_is_one_that_prefect_takes(name: str, key: str) -> None:
    assert artifact_key(name) == key
