"""Stored files changed by hand, as readers would like them: nothing builds on them in silence."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import storage
from pipelines.convert.commit.manifest import load_manifest
from pipelines.decisions import collect_decisions
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import STAMP_KEY
from pipelines.records import SEAL
from pipelines.registry.holdout import current_holdout
from pipelines.registry.runs import load_run, store_run
from pipelines.train.holdout_scores import score_holdout
from pipelines.train.model.architectures import decode_model
from pipelines.train.run import evaluate_model
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import load_reasons, load_validation, validate
from tests.pipelines.damage.stored_root import MODEL, find, runs, said, write_record


def rewrite(path: Path, **columns: Any) -> None:
    """Writes other columns into a table, whose metadata stays as it is."""
    table = pq.read_table(path)
    for name, values in columns.items():
        field = table.schema.field(name)
        column = pa.array(values, field.type)
        table = table.set_column(table.column_names.index(name), field, column)
    pq.write_table(table, path, write_page_checksum=True)


def manifest_of(root: Path, side: str) -> Path:
    """The manifest of the data set that plays a part in the runs."""
    record = load_run(str(runs(root)[0]))
    return Path(record.datasets[side].manifest_uri)


def plan_of(root: Path) -> RunPlan:
    """The run that has everything, planned again."""
    record = load_run(str(runs(root)[0]))
    sides = {side: validate(of.manifest_uri) for side, of in record.datasets.items()}
    return plan_run(
        **sides,
        experiment=record.experiment,
        root=str(root),
        backend=record.backend,
        holdout_mode="respect",
    )


def wrong(root: Path) -> str:
    """What verify finds, which has to be something."""
    code, text = said("verify", str(root), "--json")
    assert code == 1
    return str(json.loads(text)["problems"])


class _Counting(BaseHTTPRequestHandler):
    num = 0

    def do_GET(self) -> None:
        type(self).num += 1
        self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 - as the server calls it

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
        """Keeps quiet."""


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of a server that counts who asks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_no_report_asks_an_altered_source(root: Path, stranger: str) -> None:
    path = manifest_of(root, "test")
    content = json.loads(path.read_text())
    content["sources"][0]["uri"] = f"{stranger}/nsynth-test.tfrecord"
    path.write_text(json.dumps(content))
    _Counting.num = 0
    code, text = said("report", runs(root)[0].name, "--root", str(root))
    assert (code, _Counting.num) == (0, 0), text
    page = (runs(root)[0] / "report.html").read_text()
    assert "was changed after it was written" in page
    assert "was changed after it was written" in wrong(root)


@pytest.mark.parametrize("total", ["num_notes", "record_bytes", "num_quarantined"])
def test_forged_totals_are_refused_even_with_a_seal(root: Path, total: str) -> None:
    path = manifest_of(root, "train")
    content = json.loads(path.read_text())
    write_record(path, content | {total: content[total] + 1})
    with pytest.raises(DatasetError, match="was changed after it was written"):
        load_manifest(str(path))
    assert "was changed after it was written" in wrong(root)


def test_a_reason_that_nothing_was_set_aside_for_is_noticed(root: Path) -> None:
    path = manifest_of(root, "train")
    content = json.loads(path.read_text())
    first, *others = content["quarantined"].items()
    write_record(path, content | {"quarantined": {"not_wav": first[1], **dict(others)}})
    assert load_manifest(str(path)).quarantined["not_wav"]
    assert "set aside other records than the manifest counts by reason" in wrong(root)


def test_emptied_verdicts_are_refused_and_judged_again(root: Path) -> None:
    path = find(root, "notes/*/validation/*/verdicts.parquet")
    before = pq.read_table(path)
    pq.write_table(before.slice(0, 0), path, write_page_checksum=True)
    with pytest.raises(DatasetError, match=r"verdicts\.parquet does not hold the verdicts that we"):
        load_reasons(load_validation(str(path.with_name("summary.json"))))
    assert "verdicts.parquet does not hold the verdicts that were given" in wrong(root)
    validate(str(path.parents[2] / "manifest.json"))
    assert pq.read_table(path).equals(before)


def test_altered_verdicts_with_the_same_counts_are_refused(root: Path) -> None:
    path = find(root, "notes/*/validation/*/verdicts.parquet")
    rows = pq.read_table(path)["row"].to_pylist()
    free = next(row for row in range(rows[-1]) if row not in rows)
    rewrite(path, row=sorted([*rows[:-1], free]))
    with pytest.raises(DatasetError, match="does not hold the verdicts that were given"):
        load_reasons(load_validation(str(path.with_name("summary.json"))))


def test_a_summary_with_other_counts_is_noticed_and_judged_again(root: Path) -> None:
    path = find(root, "notes/*/validation/*/summary.json")
    before = path.read_bytes()
    content = json.loads(before)
    reason, *_ = content["dropped"]
    content["dropped"][reason] -= 1
    content["num_kept"] += 1
    write_record(path, content)
    assert "has other counts than the rules give" in wrong(root)
    validate(str(path.parents[2] / "manifest.json"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("side", ["train", "test"])
def test_swapped_labels_are_refused_where_they_are_read(root: Path, side: str) -> None:
    shard = next(manifest_of(root, side).parent.glob("data/part-*.parquet"))
    table = pq.read_table(shard)
    plan_of(root)
    names = ("instrument_family", "instrument_family_str")
    rewrite(shard, **{name: np.roll(table[name].to_numpy(), 7) for name in names})
    with pytest.raises(PipelineError, match="holds other notes than were committed; convert again"):
        plan_of(root)
    with pytest.raises(PipelineError, match="holds other notes than were committed"):
        validate(str(manifest_of(root, side)), force=True)
    assert shard.name in wrong(root)


def flatter(path: Path, *, probabilities: bool) -> None:
    """Makes every answer right, in the class alone or in the probabilities too."""
    table = pq.read_table(path)
    label = table["label"].to_numpy()
    columns: dict[str, Any] = {"predicted": label}
    if probabilities:
        columns["probabilities"] = list(np.eye(10, dtype=np.float32)[label])
    rewrite(path, **columns)


def without_digest(path: Path) -> None:
    """Leaves out of a table's stamp the digest that later versions add."""
    table = pq.read_table(path)
    stamp = json.loads(table.schema.metadata[STAMP_KEY])
    del stamp["digest"]
    pq.write_table(table.replace_schema_metadata({STAMP_KEY: json.dumps(stamp)}), path)


@pytest.mark.parametrize("probabilities", [False, True])
@pytest.mark.parametrize("is_old", [False, True])
def test_flattered_predictions_are_refused_and_scored_again(
    root: Path, probabilities: bool, is_old: bool
) -> None:
    path = find(root, f"runs/RUN/{MODEL}/predictions.parquet")
    before = pq.read_table(path)
    flatter(path, probabilities=probabilities)
    if is_old:
        without_digest(path)
    run = runs(root)[0].name
    message = "was changed after it was written" if probabilities or not is_old else "changed"
    for command in (("evaluate", run), ("report", run), ("compare", run, runs(root)[1].name)):
        code, text = said(*command, "--root", str(root))
        assert code == 1
        assert message in text
    assert "predictions.parquet was changed" in wrong(root)
    evaluate_model(plan_of(root), MODEL, cache_dir=storage.cache_dir(str(root)))
    assert pq.read_table(path).equals(before)


def test_predictions_of_an_old_run_are_refused_where_the_class_is_not_the_likeliest(
    root: Path,
) -> None:
    path = find(root, f"runs/RUN/{MODEL}/predictions.parquet")
    forget_digest(root)
    flatter(path, probabilities=False)
    without_digest(path)
    code, text = said("evaluate", runs(root)[0].name, "--root", str(root))
    assert code == 1
    assert "names a class that is not the likeliest for" in text


def forget_digest(root: Path) -> None:
    """Makes the record of the run one that knows no digest of predictions."""
    uri = str(runs(root)[0])
    record = load_run(uri)
    content = json.loads(record.to_json())
    del content["models"][MODEL]["predictions_digest"]
    del content[SEAL]
    store_run(record, uri)
    (Path(uri) / "run.json").write_text(json.dumps(content | {"format_version": 3}))


@pytest.mark.parametrize("column", ["label", "verdict", "instrument_seen"])
def test_predictions_of_other_labels_or_verdicts_are_scored_again(root: Path, column: str) -> None:
    path = find(root, f"runs/RUN/{MODEL}/predictions.parquet")
    before = pq.read_table(path)
    forget_digest(root)
    values = before[column].to_pylist()
    others = [None] * len(values) if column == "verdict" else [*values[1:], values[0]]
    rewrite(path, **{column: others})
    without_digest(path)
    evaluate_model(plan_of(root), MODEL, cache_dir=storage.cache_dir(str(root)))
    assert pq.read_table(path).equals(before)


def test_metrics_that_do_not_follow_are_noticed(root: Path) -> None:
    path = find(root, f"runs/RUN/{MODEL}/metrics.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"accuracy": 1.0}))
    assert "metrics.json does not follow from the predictions" in wrong(root)
    code, text = said("report", runs(root)[0].name, "--root", str(root))
    assert code == 1
    assert "metrics.json does not have the answers of its predictions.parquet" in text


@pytest.mark.parametrize("column", ["row", "instrument_str", "audio_digest", "instrument_family"])
def test_altered_notes_of_the_gate_are_refused(root: Path, column: str) -> None:
    path = find(root, "registry/gate/*/notes.parquet")
    values = pq.read_table(path)[column].to_pylist()
    rewrite(path, **{column: [*values[1:], values[0]]})
    with pytest.raises(DatasetError, match=r"notes\.parquet does not hold the notes that we"):
        current_holdout(str(root))
    assert "does not hold the notes that were frozen" in wrong(root)


def test_flattered_predictions_on_the_gate_are_scored_again(root: Path) -> None:
    path = find(root, "registry/gate/*/predictions/*.parquet")
    before = pq.read_table(path)
    flatter(path, probabilities=True)
    assert path.name in wrong(root)
    gate = current_holdout(str(root))
    assert gate is not None
    uri, cache = str(runs(root)[0] / MODEL), storage.cache_dir(str(root))
    score_holdout(gate, uri, model_sha256=path.stem, batch_size=32, cache_dir=cache)
    assert pq.read_table(path).equals(before)


def test_an_entry_that_claims_more_than_its_predictions_is_noticed(root: Path) -> None:
    path = find(root, f"registry/{MODEL}/00001.json")
    content = json.loads(path.read_text())
    content["figures"]["accuracy"] = 0.99
    write_record(path, content)
    assert "claims the accuracy 0.9900 on the gate" in wrong(root)


def test_leaked_notes_that_were_taken_off_their_list_do_not_train(root: Path) -> None:
    path = find(root, "runs/RUN/notes.parquet")
    before = pq.read_table(path)
    leaked = np.array(before["reason"].to_pylist(), object) == "leaked"
    assert leaked.any()
    pq.write_table(before.filter(pa.array(~leaked)), path)
    assert "notes.parquet does not hold the notes of this run" in wrong(root)
    plan_of(root)
    assert pq.read_table(path).equals(before)


def test_a_model_that_keras_refuses_is_one_sentence(root: Path) -> None:
    path = find(root, f"runs/RUN/{MODEL}/model.keras")
    with pytest.raises(DatasetError, match=r"Keras [0-9.]+ refuses .*model\.keras .*--force train"):
        decode_model(b"PK\x03\x04" + path.read_bytes()[4:-99], uri=str(path))


def test_convert_names_what_mends_a_manifest_and_mends_it(root: Path) -> None:
    path = manifest_of(root, "test")
    source = json.loads(path.read_text())["sources"][0]["uri"]
    before, command = path.read_bytes(), ("convert", source, "--root", str(root))
    path.write_bytes(b"")
    with collect_decisions() as decisions:
        code, text = said(*command)
    assert (code, decisions) == (1, [])
    assert "manifest.json is not a manifest: it is empty; name the manifest.json of a" in text
    assert "convert again with --force" in text
    code, text = said(*command, "--force", "--workers", "1", "--max-quarantined", "1")
    assert code == 0, text
    assert path.read_bytes() == before
    assert said("verify", str(root))[0] == 0
