"""Read all runs, verdicts and the registry of a root again, and compare them with each other.

Each problem is one sentence. A data set is verified by `pipelines.convert.commit.quarantine`. Where
the data set of a run is missing, the run's files are compared only with its own records.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.analysis.stored import check_baselines, read_cost, read_features, read_stress
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import PipelineError
from pipelines.evaluate.predictions import (
    NOTE_COLUMNS,
    PREDICTIONS_SCHEMA,
    from_table,
    read_predictions,
)
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import gate_predictions, load_metrics
from pipelines.layout import (
    COST_FILE,
    DECISIONS,
    FEATURES_FILE,
    HOLDOUT,
    LEAKED_NOTES,
    PREDICTIONS,
    RECORD,
    RUN_NOTES,
    STRESS,
    SUMMARY,
    TRAINED,
    VERDICTS,
    registry_uri,
)
from pipelines.notes import CLASS_OF_FAMILY
from pipelines.parquet import open_parquet, table_digest
from pipelines.promotion.stored import load_promotion
from pipelines.records import parse
from pipelines.registry.champions import Entry, history
from pipelines.registry.holdout import Holdout, check_notes, current_holdout, load_looks
from pipelines.registry.runs import (
    RunRecord,
    TrainingRecord,
    load_history,
    load_run,
    load_training,
    read_decisions,
)
from pipelines.train.selection.run_notes import load_run_notes, load_trained_notes, select_notes
from pipelines.validate.rules import LEAKED
from pipelines.validate.verdicts import (
    Validation,
    judge,
    load_reasons,
    load_validation,
    load_verdicts,
)

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    DECISIONS: read_decisions,
    FEATURES_FILE: read_features,
    COST_FILE: read_cost,
}


def verify_verdicts(manifest_uri: str) -> list[str]:
    """Judge the notes of a data set again, and compare all verdicts that are stored beside it."""
    problems = list[str]()
    with _noted(problems):
        dataset = open_dataset(manifest_uri)
        folder = storage.join(storage.parent(dataset.manifest_uri), "validation")
        for name in storage.list_folders(folder):
            uri = storage.join(folder, name)
            if SUMMARY in storage.sizes(uri):
                with _noted(problems):
                    problems += _compare_verdicts(dataset, uri)
    return problems


def verify_run(uri: str) -> list[str]:
    """Hold all files of a run against its record and, where they are there, its data sets."""
    problems = list[str]()
    names = storage.sizes(uri)
    if RECORD not in names:
        # It is not complete: nothing vouches for what there is so far.
        return []
    problems += _readable(uri)
    for name, read in _READERS.items():
        if name in names:
            with _noted(problems):
                read(uri)
    with _noted(problems):
        check_baselines(uri)
    with _noted(problems):
        record = load_run(uri)
        if record.run_id != storage.name(uri):
            problems.append(f"{uri} holds the record of run {record.run_id}")
        notes = load_run_notes(uri, digest=record.notes_digest)
        problems += _check_leaked(uri, record, notes)
        for name in record.models:
            problems += _readable(storage.join(uri, name))
            if STRESS in storage.sizes(storage.join(uri, name)):
                with _noted(problems):
                    read_stress(storage.join(uri, name))
            for check in (_check_training, _check_scores, _check_promotion):
                with _noted(problems):
                    problems += check(uri, record, name)
    return list(dict.fromkeys(problems))


def verify_registry(root: str) -> tuple[int, list[str]]:
    """Read all champions and the gate of a root; return how many records, and what is wrong."""
    problems, entries, num = list[str](), list[Entry](), 0
    for name in storage.list_folders(registry_uri(root)):
        if name != HOLDOUT:
            with _noted(problems):
                entries += history(root, name)
    with _noted(problems):
        gate = current_holdout(root)
        if gate is not None:
            num = 1 + len(load_looks(gate))
            problems += _check_gate(gate, entries)
    return num + len(entries), problems


def _compare_verdicts(dataset: Dataset, uri: str) -> list[str]:
    stored = load_validation(storage.join(uri, SUMMARY))
    again, verdicts = judge(dataset, uri)
    if stored.verdict_digest != again.verdict_digest:
        # Of the rules of another version, which cannot be asked again.
        load_verdicts(replace(stored, uri=uri))
        return []
    problems = list[str]()
    counts = ("manifest_digest", "num_seen", "num_kept", "num_quarantined", "dropped", "families")
    if any(getattr(stored, name) != getattr(again, name) for name in counts):
        problems.append(
            f"{uri}/{SUMMARY} has other counts than the rules give; validate the data set again"
        )
    with _noted(problems):
        if table_digest(load_verdicts(replace(stored, uri=uri))) != table_digest(verdicts):
            problems.append(
                f"{uri}/{VERDICTS} holds other verdicts than the rules give; validate the data set "
                "again"
            )
    return problems


def _check_training(uri: str, record: RunRecord, name: str) -> list[str]:
    """Check the models of a run by their digests, and the notes that trained them."""
    problems, trainings = list[str](), record.models[name].trainings
    notes = load_run_notes(uri, digest=record.notes_digest)
    for place, training in enumerate(trainings, start=1):
        fold = None if len(trainings) == 1 else place
        folder = storage.join(uri, name if fold is None else f"{name}/fold-{fold}")
        with _noted(problems):
            if load_training(folder) != training:
                problems.append(f"{folder}/training.json is not the training of {RECORD}")
        with _noted(problems):
            if len(load_history(folder)["epoch"]) != training.epochs:
                problems.append(f"{folder}/history.json is not of {training.epochs} epochs")
        with _noted(problems):
            data = storage.read(storage.join(folder, "model.keras"))
            if hashlib.sha256(data).hexdigest() != training.model_sha256:
                problems.append(f"{folder}/model.keras is not the model of {RECORD}")
        with _noted(problems):
            labels = storage.read(storage.join(folder, "labels.json"))
            if parse(b'{"labels":' + labels + b"}")["labels"] != list(record.families):
                problems.append(f"{folder}/labels.json has not the families of {RECORD}")
        with _noted(problems):
            problems += _check_trained(folder, record, training, notes, fold)
    return problems


def _check_trained(
    folder: str, record: RunRecord, training: TrainingRecord, notes: pa.Table, fold: int | None
) -> list[str]:
    """Check the notes of one training by their number, and against the data sets."""
    if TRAINED in storage.sizes(folder):
        place, table = f"{folder}/{TRAINED}", load_trained_notes(folder)
    elif record.notes_digest:
        place = f"the {RUN_NOTES} of {folder}"
        parts = [select_notes(notes, part=part, fold=fold) for part in ("train", "valid")]
        table = pa.concat_tables(parts)
    else:
        return []
    counts = (training.num_train, training.num_validation)
    if tuple(table["part"].to_pylist().count(part) for part in ("train", "valid")) != counts:
        return [f"{place} does not hold the notes that {RECORD} counts"]
    for part, validation in record.datasets.items():
        own = table.filter(pc.equal(table["dataset"], part)).sort_by("row")
        dataset = _dataset(validation)
        if own.num_rows and dataset is not None:
            names = ["instrument_str", "audio_digest"]
            if not _take(dataset, names, own["row"].to_pylist()).equals(own.select(names)):
                return [f"{place} names other notes than {validation.manifest_uri}"]
    return []


def _check_leaked(uri: str, record: RunRecord, notes: pa.Table) -> list[str]:
    """Check how many notes leaked, by what became of the notes of each data set."""
    leaked = notes.filter(pc.equal(notes["reason"], LEAKED))["dataset"].to_pylist()
    datasets = record.datasets.items()
    if all(leaked.count(part) == data.dropped.get(LEAKED, 0) for part, data in datasets):
        return []
    place = RUN_NOTES if record.notes_digest else LEAKED_NOTES
    return [f"{uri}/{place} does not hold the notes that {RECORD} counts as leaked"]


def _check_scores(uri: str, record: RunRecord, name: str) -> list[str]:
    """Check predictions against the data set, and metrics against predictions."""
    place = storage.join(uri, name, PREDICTIONS)
    table = read_predictions(place, digest=record.models[name].predictions_digest)
    predictions = from_table(table, name=place)
    problems = []
    metrics = load_metrics(storage.join(uri, name))
    again = summarise(predictions, record.families)
    if not all(key in metrics and alike(metrics[key], value) for key, value in again.items()):
        problems.append(
            f"{uri}/{name}/metrics.json does not follow from the predictions; evaluate the run "
            "again"
        )
    # In the protocol grouped the test data are the training data.
    test = record.datasets["test"]
    dataset = _dataset(test)
    if dataset is not None and not _are_notes_of(table, dataset, test):
        problems.append(f"{place} is of other notes, labels or verdicts than {test.manifest_uri}")
    return problems


def _are_notes_of(table: pa.Table, dataset: Dataset, test: Validation) -> bool:
    table = table.sort_by("row")
    rows, names = table["row"].to_pylist(), list(NOTE_COLUMNS)
    notes = _take(dataset, [*names, "instrument_family"], rows)
    schema = pa.schema([PREDICTIONS_SCHEMA.field(name) for name in names])
    if notes.num_rows != len(rows):
        return False
    reasons, families = load_reasons(test), notes["instrument_family"].to_pylist()
    given = [table[name].to_pylist() for name in ("label", "verdict")]
    expected = [
        [CLASS_OF_FAMILY.get(family) for family in families],
        [reasons[row] for row in rows],
    ]
    is_same = notes.select(names).cast(schema).equals(table.select(names).cast(schema))
    return bool(is_same) and given == expected


def _check_promotion(uri: str, record: RunRecord, name: str) -> list[str]:
    found = load_promotion(uri, name)
    digests = [training.model_sha256 for training in record.models[name].trainings]
    if found is None or (found.run_id == record.run_id and found.model_sha256 in digests):
        return []
    return [f"{uri}/{name}/promotion.json is of another run or model"]


def _check_gate(gate: Holdout, entries: Sequence[Entry]) -> list[str]:
    problems = list[str]()
    if storage.exists(gate.manifest_uri):
        with _noted(problems):
            check_notes(gate, open_dataset(gate.manifest_uri))
    accuracies = dict[str, float]()
    for name in storage.sizes(storage.join(gate.uri, "predictions")):
        sha256 = name.removesuffix(".parquet")
        with _noted(problems):
            accuracies[sha256] = float(gate_predictions(gate, sha256).correct.mean())
    for entry in entries:
        claimed = _accuracy(entry.figures)
        found = accuracies.get(entry.model_sha256)
        if entry.gate != gate.digest or claimed is None or found is None:
            continue
        if not math.isclose(claimed, found, rel_tol=1e-9):
            problems.append(
                f"entry {entry.number} of {entry.model} claims the accuracy {claimed:.4f} on the "
                f"gate, where its predictions have {found:.4f}"
            )
    return problems


def _accuracy(figures: Mapping[str, Any]) -> float | None:
    """Return the accuracy of the model that an entry crowned; None where it was not measured."""
    if "accuracy" in figures:
        return float(figures["accuracy"])
    compared = figures.get("figures", {}).get("accuracy")
    return float(compared["second"]) if compared else None


def _readable(folder: str) -> list[str]:
    """Read every small file of a folder, whatever it is for."""
    problems = list[str]()
    for name in storage.sizes(folder):
        uri = storage.join(folder, name)
        with _noted(problems):
            if name.endswith(".parquet"):
                with open_parquet(uri) as file:
                    file.read()
            elif name.endswith(".json") and name != "labels.json":
                try:
                    parse(storage.read(uri))
                except ValueError as err:
                    problems.append(f"{uri} is damaged: {err}")
    return problems


def _dataset(validation: Validation) -> Dataset | None:
    """Return the data set that was validated; None where it is gone or another by now."""
    if not storage.exists(validation.manifest_uri):
        return None
    dataset = open_dataset(validation.manifest_uri)
    is_same = dataset.manifest.manifest_digest == validation.manifest_digest
    return dataset if is_same else None


def _take(dataset: Dataset, names: Sequence[str], rows: Sequence[int]) -> pa.Table:
    """Return columns of some notes, proven; fewer where a row is not one of the data set."""
    inside = [row for row in rows if 0 <= row < dataset.manifest.num_notes]
    return dataset.read(list(names)).take(pa.array(inside, pa.int64()))


def alike(stored: Any, again: Any) -> bool:
    """Return whether figures are the same but for the last digits of another platform."""
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        return stored.keys() == again.keys() and all(alike(stored[k], again[k]) for k in again)
    if isinstance(again, list | tuple) and isinstance(stored, list | tuple):
        pairs = zip(stored, again, strict=False)
        return len(stored) == len(again) and all(alike(*pair) for pair in pairs)
    if isinstance(again, float) and isinstance(stored, float | int):
        return bool(np.isclose(stored, again, rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(stored == again)


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Add what the block refuses to the problems, and go on after it."""
    try:
        yield
    except PipelineError as err:
        problems.append(str(err))
