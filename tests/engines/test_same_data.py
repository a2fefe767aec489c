"""Whoever converts, the data set is the same."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.engines.conftest import Pool, Store, Submitter, installed, on_cluster

Timed = Callable[[str, str, float, tuple[str, str]], None]

ENGINES = ("prism-loopback", "prism-external", "flink-embedded", "flink-cluster")


def arguments(engine: str, request: pytest.FixtureRequest) -> list[str]:
    if engine == "prism-loopback":
        installed("prism")
        return ["--runner", "prism"]
    if engine == "prism-external":
        installed("prism")
        pool: Pool = request.getfixturevalue("pool")
        return ["--runner", "prism", *pool.options]
    if engine == "flink-embedded":
        installed("flink-job-server")
        return ["--runner", "flink"]
    return on_cluster(request.getfixturevalue("cluster"))


@pytest.fixture(scope="module")
def local(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the local runner made of each source."""
    submitter = Submitter(store.env, tmp_path_factory.mktemp("local"))
    return {
        name: submitter.run(sources, "--range-mib", "16", root=f"s3://nsynth/local/{name}")
        for name, sources in store.sources.items()
    }


@pytest.mark.parametrize("notes", ["generated", "real"])
@pytest.mark.parametrize("engine", ENGINES)
def test_convert_makes_the_same_data_set_on_each_engine(
    notes: str,
    engine: str,
    local: dict[str, Any],
    timed: Timed,
    request: pytest.FixtureRequest,
) -> None:
    store: Store = request.getfixturevalue("store")
    submitter: Submitter = request.getfixturevalue("submitter")
    if notes not in store.sources:
        pytest.skip("NSYNTH_REAL does not name a folder with NSynth's own TFRecord files")
    how = arguments(engine, request)
    root = f"s3://nsynth/{engine}/{notes}"
    found = submitter.run(store.sources[notes], "--range-mib", "16", *how, root=root)
    expected = store.digests(local[notes]["manifest"])
    timed(notes, "local", local[notes]["seconds"], expected)
    timed(notes, engine, found["seconds"], store.digests(found["manifest"]))
    assert store.digests(found["manifest"]) == expected
    # The workers' counts came back and cover every record once, or the log says that some are lost.
    lost = re.search(r"counted by the workers, of (\d+) of (\d+) ranges: ", found["log"])
    if lost:
        assert engine.startswith("prism")
        assert 0 < int(lost[1]) < int(lost[2])
    else:
        assert f"record_bytes {found['record_bytes']:,}" in found["log"]


def test_workers_have_nothing_that_conversion_does_not_need(pool: Pool) -> None:
    installed("worker")
    from infra.engines.settings import folder  # noqa: PLC0415

    packages = {path.name for path in (folder() / "worker").glob("lib/python*/site-packages/*")}
    assert "apache_beam" in packages
    assert not packages & {"tensorflow", "keras", "prefect", "sklearn", "matplotlib"}
