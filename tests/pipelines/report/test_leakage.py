from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipelines.report.leakage import Leakage, describe, find_leakage
from pipelines.report.results import load_results
from pipelines.train.selection.run_notes import RUN_NOTES_SCHEMA, store_run_notes
from tests.pipelines.report.run_folder import write_run


def test_find_leakage_counts_instruments_that_were_trained_on(tmp_path: Path) -> None:
    found = find_leakage(load_results(write_run(tmp_path, models={"tiny": 1.0})))
    # 57 kept notes, an instrument each; every third is of one that was not trained on.
    assert (found.num_instruments, found.num_seen_instruments) == (57, 38)
    assert found.num_dropped == 1
    assert found.num_shared_audio is None
    assert found.num_train_instruments is None


def test_find_leakage_counts_again_which_audio_is_shared(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    digests = ["digest-00003", "digest-00004", "elsewhere", "digest-00005"]
    trained = pa.table(
        {
            "dataset": ["train"] * 4,
            "row": range(4),
            "note_str": [""] * 4,
            "instrument_str": ["a", "a", "b", "c"],
            "audio_digest": digests,
            "label": [0] * 4,
            "part": ["train", "train", "train", "valid"],
            "fold": [None] * 4,
            "reason": [None] * 4,
        },
        schema=RUN_NOTES_SCHEMA,
    )
    store_run_notes(str(tmp_path), trained)
    found = find_leakage(load_results(uri))
    assert (found.num_shared_audio, found.num_train_instruments) == (2, 2)


def test_describe_leaves_out_what_the_run_does_not_store() -> None:
    known = Leakage(1, 0, 40, num_instruments=5, num_seen_instruments=3)
    left_out, counted, scored = describe(known, "reference")
    assert left_out.startswith("1 note left out of training")
    assert "0 notes trained with the audio of a scored note" in counted
    assert scored == (
        "The models trained on 40 instruments. The kept scored notes are of 5 instruments, "
        "3 of which were trained on."
    )
    unknown = replace(known, num_shared_audio=None, num_train_instruments=None)
    folds, scored = describe(unknown, "grouped")
    assert folds.startswith("No note is scored by a model that trained on its instrument")
    assert scored.startswith("The kept scored notes")
