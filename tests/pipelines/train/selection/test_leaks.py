from pipelines.train.selection.holdout import mark_leaked


def test_leaked_marks_notes_whose_audio_is_tested() -> None:
    assert mark_leaked(["a", "b", "c"], [None, None, None], ["b", "x"]) == [None, "leaked", None]


def test_leaked_leaves_earlier_reasons_alone() -> None:
    assert mark_leaked(["a", "b"], ["silent", None], ["a", "b"]) == ["silent", "leaked"]


def test_leaked_keeps_all_without_a_common_note() -> None:
    assert mark_leaked(["a"], [None], []) == [None]
