from pipelines.validate.verdicts import Validation
from tasks.dataset import drop_rows


def test_drop_rows_say_where_each_note_went() -> None:
    validation = Validation(
        manifest_uri="notes/manifest.json",
        manifest_digest="m",
        verdict_digest="v",
        uri="notes/validation/v",
        num_seen=10,
        num_kept=7,
        num_quarantined=2,
        dropped={"silent": 1, "duplicate_audio": 2},
        families={"bass": 7},
        official="",
    )
    rows = drop_rows(validation)
    assert rows[:3] == [
        {"verdict": "silent", "notes": 1},
        {"verdict": "duplicate_audio", "notes": 2},
        {"verdict": "kept", "notes": 7},
    ]
    assert sum(int(row["notes"]) for row in rows[:3]) == validation.num_seen
