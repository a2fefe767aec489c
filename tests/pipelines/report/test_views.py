from pathlib import Path

from pipelines.report.results import load_results
from pipelines.report.views import accuracies, note_choices
from tests.pipelines.report.run_folder import write_run


def test_note_choices_are_three_where_instruments_differ(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    assert [of for _, of in note_choices(run)] == ["kept", "seen", "unseen"]
    assert [of for _, of, _ in accuracies(run)] == ["kept", "kept", "seen", "unseen", "every"]


def test_note_choices_name_no_part_that_is_the_whole(tmp_path: Path) -> None:
    # The only kept note is of an instrument that was not trained on.
    run = load_results(write_run(tmp_path, num_notes=3, num_dropped=2))
    assert run.models[0].seen is None or run.models[0].unseen is None
    assert note_choices(run) == [("kept notes", "kept")]
    assert [of for _, of, _ in accuracies(run)] == ["kept", "kept", "every"]
