from pipelines.train.leaks import leaked


def test_leaked_marks_notes_whose_audio_is_tested() -> None:
    assert leaked(["a", "b", "c"], [None, None, None], ["b", "x"]) == [None, "leaked", None]


def test_leaked_leaves_earlier_reasons_alone() -> None:
    assert leaked(["a", "b"], ["silent", None], ["a", "b"]) == ["silent", "leaked"]


def test_leaked_keeps_all_without_a_common_note() -> None:
    assert leaked(["a"], [None], []) == [None]
