import pytest

from pipelines.promotion.health import health_drops, shares
from pipelines.validate.verdicts import Validation


def validation(*, quarantined: int = 0, **dropped: int) -> Validation:
    return Validation(
        manifest_uri="notes/a/manifest.json",
        manifest_digest="m",
        verdict_digest="v",
        uri="notes/a/validation/v",
        num_seen=1_000,
        num_kept=1_000 - sum(dropped.values()),
        num_quarantined=quarantined,
        dropped=dropped,
        families={},
        official="",
    )


def test_shares_count_defects_and_not_what_is_left_out_by_plan() -> None:
    found = shares(validation(silent=10, duplicate_audio=5, synth_lead=100, leaked=50, gate=200))
    assert found == {"defective notes": 0.015, "damaged records": 0.0}
    assert shares(validation(quarantined=250))["damaged records"] == 0.2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (validation(), validation(silent=10), []),
        (
            validation(),
            validation(silent=11),
            ["defective notes of the train data rose"],
        ),
        (validation(silent=50), validation(silent=55), []),
        (validation(silent=50), validation(), []),
        (validation(), validation(quarantined=20), ["damaged records of the train data rose from"]),
        (validation(), validation(leaked=500, synth_lead=400), []),
    ],
)
def test_health_drops_says_what_rose(
    before: Validation, after: Validation, said: list[str]
) -> None:
    found = health_drops({"train": before}, {"train": after})
    assert len(found) == len(said)
    assert all(is_.startswith(wanted) for is_, wanted in zip(found, said, strict=True))


def test_health_drops_compares_only_parts_that_both_have() -> None:
    assert health_drops({"train": validation()}, {"valid": validation(silent=900)}) == []
