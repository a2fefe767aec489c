"""The whole main job in object storage and in a folder of this machine: the same figures."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.sample.splits import write_splits
from pipelines.storage import join, local_path
from tests.engines.conftest import BIN, LENIENT, Store
from tests.listening import listeners

MODELS = ("preliminary", "optimised")


@dataclass(frozen=True)
class Job:
    """A main job that has ended, and where it put what."""

    store: Store
    root: str
    cwd: Path
    cache: Path
    said: dict[str, Any]

    def names(self) -> list[str]:
        """What lies under the root, but for what depends on where the sources are or on the time.

        That is a `dataset_id`, and the digest of a model's file, which holds its date.
        """
        local = local_path(self.root)
        if local:
            found = [str(path.relative_to(local)) for path in local.rglob("*") if path.is_file()]
        else:
            bare = self.root.removeprefix("s3://")
            found = [path.removeprefix(f"{bare}/") for path in self.store.fs.find(bare)]
        return sorted(re.sub(r"(?<=^notes/)\w+|(?<=/predictions/)\w+", "*", name) for name in found)

    def of_run(self, *parts: str) -> dict[str, Any]:
        """The content of one of the run's JSON objects."""
        uri = join(self.root, "runs", self.said["run_id"], *parts)
        local = local_path(uri)
        content: dict[str, Any] = json.loads(
            local.read_bytes() if local else self.store.fs.cat_file(uri)
        )
        return content


def run(store: Store, place: Path, sources: dict[str, str], root: str) -> Job:
    """Runs it with one epoch in a working folder of its own, which begins empty."""
    cwd, cache = place / "cwd", place / "cache"
    cwd.mkdir(parents=True)
    pair = [part for side, uri in sources.items() for part in (f"--{side}", uri)]
    command = [str(BIN / "nsynth"), "retrain", *pair, "--root", root, "--epochs", "1", "--json"]
    own = {"PREFECT_API_URL": "", "PREFECT_HOME": str(place / "prefect")}
    running = subprocess.Popen(
        [*command, *LENIENT, "--max-dropped", "0.5"],
        env={**os.environ, **store.env, **own, "NSYNTH_CACHE": str(cache)},
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with running, listeners(running.pid, every_sec=0.1) as found:
        out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    # The server that Prefect starts for the job, and nothing else.
    assert len(found.found) == 1
    assert not found.exposed
    return Job(store, root, cwd, cache, json.loads(out.splitlines()[-1]))


@pytest.fixture(scope="module")
def jobs(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Job]:
    """The job on a folder, and the one on object storage."""
    place = tmp_path_factory.mktemp("main-job")
    write_splits(str(place / "source"), {"train": 160, "valid": 40, "test": 40})
    sides = {side: place / "source" / f"nsynth-{side}.tfrecord" for side in ("train", "test")}
    here = {side: str(path) for side, path in sides.items()}
    there = {side: f"s3://nsynth/main-job/source/{path.name}" for side, path in sides.items()}
    for side, path in sides.items():
        store.fs.put_file(str(path), there[side])
    folder = run(store, place / "folder", here, str(place / "folder" / "root"))
    return folder, run(store, place / "s3", there, "s3://nsynth/main-job/root")


def test_main_job_in_object_storage_is_the_same_run(jobs: tuple[Job, Job]) -> None:
    folder, remote = jobs
    assert remote.said["run_id"] == folder.said["run_id"]
    assert remote.said["datasets"] == folder.said["datasets"]
    for side in ("train", "test"):
        ours, theirs = (job.of_run("run.json")["datasets"][side] for job in jobs)
        assert ours["manifest_digest"] == theirs["manifest_digest"]


def test_main_job_in_object_storage_stores_what_a_folder_does(jobs: tuple[Job, Job]) -> None:
    folder, remote = jobs
    assert remote.names() == folder.names()
    places = {name.partition("/")[0] for name in remote.names()}
    assert places == {"index.html", "notes", "registry", "runs"}


@pytest.mark.parametrize("model", MODELS)
def test_main_job_in_object_storage_trains_the_same_model(
    jobs: tuple[Job, Job], model: str
) -> None:
    ours, theirs = (job.of_run("run.json")["models"][model]["trainings"][0] for job in jobs)
    assert ours["weights_digest"] == theirs["weights_digest"]
    ours, theirs = (job.of_run(model, "metrics.json") for job in jobs)
    assert ours == theirs


def test_main_job_in_object_storage_leaves_nothing_but_the_cache_here(
    jobs: tuple[Job, Job],
) -> None:
    _, remote = jobs
    assert list(remote.cwd.iterdir()) == []
    caches = sorted(path.suffix for path in remote.cache.rglob("*") if path.is_file())
    assert caches == [".f32", ".f32", ".json", ".json", ".lock", ".lock"]
    assert {path.name for path in remote.cwd.parent.iterdir()} == {"cache", "cwd", "prefect"}
