"""Predictions that anyone made, as CSV or Parquet, matched with the notes that they answer.

Each scored note needs exactly one answer. A file that has fewer, more, or answers to other notes is
refused with the counts, since a score on part of the notes is a score on other notes.
"""

import io
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import Predictions, from_table, predictions_table
from pipelines.evaluate.scores import summarise
from pipelines.notes import CLASSES

# Columns that name a note; the first that a file has counts.
KEYS: Final = ("row", "note_str")

# Columns with one class per note, as a name or a number from 0; the first that a file has counts.
# A file that nsynth stored has the true class as `label`, beside `predicted`.
ANSWERS: Final = ("predicted", "family", "instrument_family_str", "label")

# How far the sum of a note's probabilities may be from 1: some round them to two decimals.
_SUM_TOLERANCE: Final = 0.06

_PARQUET: Final = b"PAR1"

# Figures that mean nothing unless a model gives probabilities.
_OF_PROBABILITIES: Final = ("nll", "brier", "ece")


@dataclass(frozen=True, eq=False)
class Submission:
    """Answers of a file.

    Attributes:
      name: what an error calls the file.
      key: the column that names the notes, one of `KEYS`.
      keys: one value per answer, a row or a name.
      names: `note_str` of each answer where the file has it beside rows, to check the rows.
      probabilities: float32 [num_answers, 10].
    """

    name: str
    key: str
    keys: Sequence[Hashable]
    names: Sequence[str] | None
    probabilities: NDArray[np.float32]


def read_submission(uri: str) -> Submission:
    """Read a file of predictions.

    Raises:
      ConfigError: there is no such file.
      DatasetError: it is no table, or has no usable column of notes or of answers.
    """
    table = _read_table(uri)
    keys = [name for name in KEYS if name in table.column_names]
    if not keys:
        raise DatasetError(
            f"{uri} names no notes: expected a column note_str or row, found "
            f"{_some(table.column_names)}"
        )
    for name in keys:
        is_key = pa.types.is_integer if name == "row" else _is_text
        if not is_key(table[name].type) or table[name].null_count:
            kind = "whole number" if name == "row" else "name"
            raise DatasetError(f"expected a {kind} in each row of the column {name} of {uri}")
    names = table["note_str"].to_pylist() if len(keys) == len(KEYS) else None
    return Submission(uri, keys[0], table[keys[0]].to_pylist(), names, _probabilities(table, uri))


def match_notes(submission: Submission, notes: pa.Table) -> Predictions:
    """Return the predictions of a file for the scored notes, in their order.

    A name that several of the scored notes have is answered once, for all of them.

    Args:
      notes: the scored notes, with the columns of predictions that do not depend on a model.

    Raises:
      DatasetError: an answer is missing, doubled, or of another note.
    """
    wanted = notes[submission.key].to_pylist()
    _check_notes(submission, wanted)
    place = {key: place for place, key in enumerate(submission.keys)}
    places = [place[key] for key in wanted]
    if submission.names is not None:
        _check_names(submission, places, notes)
    table = predictions_table(notes, submission.probabilities[places])
    return from_table(table, name=submission.name)


def score_predictions(predictions: Predictions, *, knows_training: bool) -> dict[str, Any]:
    """Return the figures of `summarise`, without those that mean nothing for these predictions.

    Where all probabilities are 0 or 1 there are labels only, without figures of probabilities.

    Args:
      knows_training: whether `instrument_seen` is known.
    """
    figures = summarise(predictions)
    if not knows_training:
        figures |= {"seen": None, "unseen": None}
    if not np.isin(predictions.probabilities, (0, 1)).all():
        return figures
    for scores in (figures, *(figures[part] for part in ("all_notes", "seen", "unseen"))):
        for name in _OF_PROBABILITIES if scores else ():
            scores.pop(name, None)
            scores["intervals"].pop(name, None)
    return figures | {"reliability": []}


def _read_table(uri: str) -> pa.Table:
    data = storage.read(uri)
    try:
        if data.startswith(_PARQUET):
            return pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        # Names such as "nan" or "" are text, whatever a spreadsheet makes of them.
        texts = pa_csv.ConvertOptions(column_types={"note_str": pa.string()})
        return pa_csv.read_csv(io.BytesIO(data), convert_options=texts)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
        why = " ".join(str(err).split())[:200]
        raise DatasetError(f"{uri} is neither a CSV table nor a Parquet file: {why}") from err


def _probabilities(table: pa.Table, uri: str) -> NDArray[np.float32]:
    """Return the probabilities of a table; those of one class per note are 0 and 1."""
    if "probabilities" in table.column_names:
        lists = table["probabilities"].combine_chunks()
        lengths = {len(values or ()) for values in lists.to_pylist()}
        if lengths - {len(CLASSES)}:
            raise DatasetError(f"expected {len(CLASSES)} probabilities in each row of {uri}")
        return _checked(np.array(lists.to_pylist(), object), table, uri)
    if set(CLASSES) <= set(table.column_names):
        columns = [table[name].to_pylist() for name in CLASSES]
        return _checked(np.array(columns, object).T, table, uri)
    name = next((name for name in ANSWERS if name in table.column_names), None)
    if name is None:
        raise DatasetError(
            f"{uri} has no answers: expected a column label or family, or one column of "
            f"probabilities for each of {', '.join(CLASSES)}; found {_some(table.column_names)}"
        )
    return np.eye(len(CLASSES), dtype=np.float32)[_labels(table[name], name, uri)]


def _checked(values: NDArray[np.object_], table: pa.Table, uri: str) -> NDArray[np.float32]:
    """Return probabilities as numbers, each note's scaled to the sum 1."""
    try:
        numbers = values.reshape(table.num_rows, len(CLASSES)).astype(np.float64)
    except (TypeError, ValueError) as err:
        raise DatasetError(f"{uri} has a probability that is not a number") from err
    sums = numbers.sum(axis=1)
    # A comparison with a value that is not a number is false.
    valid = (numbers >= 0).all(axis=1) & (np.abs(sums - 1) <= _SUM_TOLERANCE)
    if not valid.all():
        key = next(name for name in KEYS if name in table.column_names)
        first = int(np.flatnonzero(~valid)[0])
        raise DatasetError(
            f"expected {len(CLASSES)} probabilities from 0 to 1 with the sum 1 for each note, but "
            f"{(~valid).sum():,} of {len(valid):,} rows of {uri} have others, such as "
            f"{table[key][first].as_py()}"
        )
    # Exact ones stay as they are, bit by bit.
    is_exact = np.abs(sums - 1) <= 1e-5
    scale = np.where(is_exact, 1.0, sums)
    return (numbers / scale[:, np.newaxis]).astype(np.float32)


def _labels(column: pa.ChunkedArray, name: str, uri: str) -> NDArray[np.int64]:
    """Return the class of each row, of names or of numbers."""
    values: Sequence[Any] = column.to_pylist()
    if pa.types.is_integer(column.type):
        labels = [
            value if value is not None and 0 <= value < len(CLASSES) else -1 for value in values
        ]
    else:
        classes = {family: label for label, family in enumerate(CLASSES)}
        labels = [classes.get(value, -1) if isinstance(value, str) else -1 for value in values]
    wrong = [value for value, label in zip(values, labels, strict=True) if label < 0]
    if wrong:
        raise DatasetError(
            f"expected 0 to {len(CLASSES) - 1} or one of {', '.join(CLASSES)} in the column {name} "
            f"of {uri}, but {len(wrong):,} of {len(values):,} rows have others, such as "
            f"{str(wrong[0])[:80]!r}"
        )
    return np.array(labels, np.int64)


def _check_notes(submission: Submission, wanted: Sequence[Hashable]) -> None:
    given, known = Counter(submission.keys), set(wanted)
    groups = {
        "missing": [key for key in dict.fromkeys(wanted) if key not in given],
        "answered more than once": [key for key, num in given.items() if num > 1],
        "not among them": [key for key in given if key not in known],
    }
    faults = [
        f"{len(keys):,} {'is' if len(keys) == 1 else 'are'} {fault}, such as {_shown(keys[0])}"
        for fault, keys in groups.items()
        if keys
    ]
    if faults:
        raise DatasetError(
            f"{submission.name} should answer each of the {len(wanted):,} scored notes once: "
            f"{', '.join(faults)}"
        )


def _check_names(submission: Submission, places: Sequence[int], notes: pa.Table) -> None:
    names = [(submission.names or ())[place] for place in places]
    differ = pc.not_equal(pa.array(names, pa.string()), notes["note_str"].combine_chunks())
    if num := pc.sum(differ).as_py():
        first = pc.index(differ, True).as_py()
        raise DatasetError(
            f"{submission.name} gives {num:,} of {len(names):,} rows another name than the data "
            f"set has, such as row {notes['row'][first].as_py()}: {_shown(names[first])} where "
            f"{notes['note_str'][first].as_py()} is; leave out the column row to go by names"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _some(names: Iterable[str]) -> str:
    """Return the first names of columns, for an error."""
    listed = [name[:40] for name in names]
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")


def _shown(key: Hashable) -> str:
    return f"row {key}" if isinstance(key, int) else str(key)[:80]
