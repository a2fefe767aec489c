from pathlib import Path

import pytest

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.shards.estimate import check_space, estimate
from pipelines.convert.shards.plan import Parameters, Plan, plan
from pipelines.errors import ConfigError
from tests.pipelines.convert.records import note, tfrecord


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    source = tmp_path / "notes.tfrecord"
    source.write_bytes(tfrecord(*[note(number) for number in range(4)]))
    parameters = Parameters(range_bytes=600_000)
    return plan([str(source)], root=str(tmp_path / "root"), parameters=parameters)


def test_estimate_is_near_what_is_stored_then(planned: Plan) -> None:
    expected = estimate(planned)
    sources = [source.uri for source in planned.sources]
    root = str(Path(planned.folder).parents[1])
    convert(sources, root=root, parameters=planned.parameters, num_workers=1)
    stored = sum(path.stat().st_size for path in Path(planned.folder).glob("data/part-*"))
    assert expected.num_ranges == 2
    assert expected.seconds is not None
    assert expected.stored_bytes == pytest.approx(stored, rel=0.25)


def test_estimate_writes_nothing(planned: Plan) -> None:
    estimate(planned)
    assert not Path(planned.folder).exists()


def test_check_space_refuses_what_does_not_fit(planned: Plan) -> None:
    too_much = planned.source_bytes * 10**9
    with pytest.raises(ConfigError, match=r"need about .* GB free; choose another root"):
        check_space(planned, too_much)


def test_check_space_accepts_what_fits(planned: Plan) -> None:
    check_space(planned, planned.source_bytes)


def test_check_space_leaves_a_tenth_of_what_is_needed(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = estimate(planned).stored_bytes
    monkeypatch.setattr(storage, "free_bytes", lambda _: round(1.12 * needed))
    check_space(planned, planned.source_bytes)
    monkeypatch.setattr(storage, "free_bytes", lambda _: round(1.08 * needed))
    with pytest.raises(ConfigError, match="free"):
        check_space(planned, planned.source_bytes)
