"""Which notes a stored model met, to train on or to choose its epoch, and which it did not.

It is written where the training happens, so that nobody has to split the notes again to find out.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from pipelines import storage
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError
from pipelines.layout import TRAINED
from pipelines.parquet import read_table
from pipelines.validate.verdicts import Validation

if TYPE_CHECKING:
    # Reading what is stored needs no scikit-learn.
    from pipelines.train.selection.run_plan import RunPlan
    from pipelines.train.selection.split import Indices

TRAINED_SCHEMA: Final = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
        pa.field("instrument_str", pa.string(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
    ]
)
"""`dataset` is `train` or `valid`, `row` is of that one; `part` is `train` or `validation`."""

KEPT_OUT_SCHEMA: Final = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
    ]
)
"""`dataset` is `train` or `valid`; `row` is of that one."""

_AGAIN: Final = "train it again: nsynth retrain --force train"


def store_trained_notes(
    plan: "RunPlan", name: str, train: "Indices", validation: "Indices"
) -> None:
    """Stores which notes a training takes.

    Args:
      name: of the training.
      train: rows of the training data set.
      validation: rows of `valid` where there is one, else of the training data set.
    """
    tables = [
        _notes(plan.train, "train", train, "train"),
        _notes(plan.train, "train", validation, "validation")
        if plan.valid is None
        else _notes(plan.valid, "valid", validation, "validation"),
    ]
    storage.put(plan.model_uri(name, TRAINED), encode(pa.concat_tables(tables)))


def load_trained_notes(model_uri: str) -> pa.Table:
    """The notes that a model met, with the columns of `TRAINED_SCHEMA`.

    Args:
      model_uri: the folder of one training of a run.

    Raises:
      ConfigError: the run does not say it.
    """
    uri = storage.join(model_uri, TRAINED)
    if not storage.exists(uri):
        raise ConfigError(f"there is no {uri}, which says what the model trained on; {_AGAIN}")
    return read_table(uri, TRAINED_SCHEMA, mend=_AGAIN)


def load_kept_out(uri: str) -> pa.Table:
    """Read which notes of a run do not train, with the columns of `KEPT_OUT_SCHEMA`."""
    return read_table(uri, KEPT_OUT_SCHEMA, mend="run the same training again")


def _notes(side: Validation, dataset: str, rows: "Indices", part: str) -> pa.Table:
    columns = TRAINED_SCHEMA.names[-2:]
    notes = open_dataset(side.manifest_uri).read(columns).take(pa.array(rows))
    places = {
        "dataset": np.full(len(rows), dataset, object),
        "row": rows,
        "part": np.full(len(rows), part, object),
    }
    return pa.table({**places, **{name: notes[name] for name in columns}}, schema=TRAINED_SCHEMA)
