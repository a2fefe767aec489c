"""Dataflow, as far as it goes without Google: a template in a bucket, and the pipeline in it."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2

from infra.engines.settings import folder, program
from pipelines.convert import beam
from pipelines.convert.shards.plan import ByteRange, Parameters, plan
from pipelines.engines.engine import Engine
from tests.engines.conftest import LENIENT, Store, installed
from tests.engines.processes import free_port, started

RANGE_MIB = 8
BUCKET = "nsynth-bucket"


@dataclass
class Bucket:
    """A bucket of a stand-in for Google's storage.

    Attributes:
      place: where that keeps the objects.
    """

    endpoint: str
    place: Path


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    installed("fake-gcs-server")
    place, port = tmp_path_factory.mktemp("gcs"), free_port()
    endpoint = f"http://127.0.0.1:{port}"
    options = {
        "scheme": "http",
        "host": "127.0.0.1",
        "port": str(port),
        "backend": "filesystem",
        "filesystem-root": str(place / "data"),
        "external-url": endpoint,
    }
    server = str(program("fake-gcs-server"))
    command = [server, *(f"-{key}={value}" for key, value in options.items())]
    with started(command, log=place / "log", cwd=place, env=os.environ, port=port):
        made = httpx.post(f"{endpoint}/storage/v1/b?project=p", json={"name": BUCKET})
        assert made.status_code == 200
        yield Bucket(endpoint, place / "data" / BUCKET)


@dataclass
class Written:
    """What `nsynth convert --template` printed, and what it put into the bucket."""

    said: Mapping[str, Any]
    template: Mapping[str, Any]
    pipeline: Any
    staged: set[str]


@pytest.fixture(scope="module")
def written(bucket: Bucket, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Written:
    installed("dataflow")
    (wheel,) = (folder() / "dist").glob("*.whl")
    settings = tmp_path_factory.mktemp("settings") / "dataflow.toml"
    settings.write_text(
        f"""
        [options]
        project = "nsynth-project"
        region = "europe-west4"
        temp_location = "gs://{BUCKET}/temp"
        staging_location = "gs://{BUCKET}/staging"
        extra_packages = ["{wheel}"]
        machine_type = "n2-standard-2"
        disk_size_gb = 40
        experiments = ["shuffle_mode=service"]
        no_auth = true
        """
    )
    done = subprocess.run(
        [
            *(str(folder() / "dataflow" / "bin" / "nsynth"), "convert"),
            *store.sources["generated"],
            *("--root", "s3://nsynth/dataflow", "--range-mib", str(RANGE_MIB), *LENIENT),
            *("--runner", "dataflow", "--engine-settings", str(settings)),
            *("--template", f"gs://{BUCKET}/templates/convert", "--json"),
        ],
        env={**os.environ, **store.env, "STORAGE_EMULATOR_HOST": bucket.endpoint},
        cwd=settings.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    (staged,) = (bucket.place / "staging").glob("*")
    pipeline = beam_runner_api_pb2.Pipeline()
    pipeline.ParseFromString((staged / "pipeline.pb").read_bytes())
    return Written(
        said=json.loads(done.stdout.splitlines()[-1]),
        template=json.loads((bucket.place / "templates" / "convert").read_text()),
        pipeline=pipeline,
        staged={path.name for path in staged.iterdir()},
    )


@pytest.fixture
def ranges(store: Store, monkeypatch: pytest.MonkeyPatch) -> tuple[list[ByteRange], str]:
    """What another engine is given, and where its shards go."""
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    planned = plan(
        store.sources["generated"],
        root="s3://nsynth/dataflow",
        parameters=Parameters(range_bytes=RANGE_MIB * 2**20),
    )
    return list(planned.ranges()), planned.folder


def test_template_holds_the_transforms_that_other_engines_run(
    written: Written, ranges: tuple[list[ByteRange], str]
) -> None:
    prism = Engine("prism")
    other = beam.build(ranges[0], folder=ranges[1], engine=prism).to_runner_api()
    assert transforms(written.pipeline) == transforms(other)
    assert ("ConvertRanges/convert", "beam:transform:pardo:v1") in transforms(other)


def test_template_holds_the_ranges_that_other_engines_convert(
    written: Written, ranges: tuple[list[ByteRange], str]
) -> None:
    prism = Engine("prism")
    other = beam.build(ranges[0], folder=ranges[1], engine=prism).to_runner_api()
    assert elements(written.pipeline) == elements(other) == ranges[0]
    assert written.said["num_ranges"] == len(ranges[0])


def test_template_has_the_settings(written: Written) -> None:
    environment = written.template["environment"]
    (workers,) = environment["workerPools"]
    assert written.template["name"].startswith("nsynth-convert-")
    assert workers["machineType"] == "n2-standard-2"
    assert workers["diskSizeGb"] == 40
    assert "shuffle_mode=service" in environment["experiments"]
    assert any(name.startswith("nsynth_flows-") for name in written.staged)
    assert "pickled_main_session" not in written.staged


def transforms(pipeline: Any) -> set[tuple[str, str]]:
    """Name and kind of each transform; the ids that Beam gives them are of no account."""
    found = pipeline.components.transforms.values()
    return {(of.unique_name, of.spec.urn) for of in found if of.spec.urn}


def elements(pipeline: Any) -> list[ByteRange]:
    """What the pipeline begins with, taken out of the function that yields it."""
    (create,) = (
        of
        for of in pipeline.components.transforms.values()
        if of.unique_name.startswith("ranges/FlatMap(")
    )
    payload = beam_runner_api_pb2.ParDoPayload.FromString(create.spec.payload)
    do_fn = pickler.loads(payload.do_fn.payload)[0]
    cells = [cell.cell_contents for cell in do_fn._fn.__closure__]
    (encoded,) = (cell for cell in cells if isinstance(cell, list))
    return [FastPrimitivesCoder().decode(value) for value in encoded]
