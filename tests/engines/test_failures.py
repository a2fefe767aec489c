"""What dies in the middle: nothing is lost, and what ends in an error says so in a sentence."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping

import pytest

from infra.engines.settings import program
from tests.engines.conftest import LENIENT, Pool, Store, Submitter, installed, on_cluster
from tests.engines.flink import jobs
from tests.engines.processes import free_port, started, wait_until
from tests.pipelines.convert.records import frame
from tests.pipelines.storage.faults import Fault, faulty_proxy, first

SMALL = ("--range-mib", "1")
GO_ON = "; run the same command again to go on where it stopped"


@pytest.fixture(scope="module")
def clean(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The digests of a conversion that nothing disturbed."""
    submitter = Submitter(store.env, tmp_path_factory.mktemp("clean"))
    found = submitter.run(store.sources["generated"], *SMALL, root="s3://nsynth/clean")
    return store.digests(found["manifest"])


def in_the_middle(store: Store, root: str, running: subprocess.Popen[str]) -> None:
    """Waits until some shards are stored, and by far not all."""
    wait_until(lambda: store.num_shards(root) >= 3 or running.poll() is not None, seconds=120)
    assert running.poll() is None
    assert store.num_shards(root) < 60


def ended(running: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = running.communicate(timeout=300)
    return running.returncode, said


def resumed(store: Store, submitter: Submitter, *how: str, root: str) -> tuple[str, str]:
    """The digests that a rerun comes to, which has to find something of what died."""
    again = submitter.run(store.sources["generated"], *SMALL, *how, root=root)
    assert "; the others are stored" in again["log"]
    return store.digests(again["manifest"])


def test_flink_recovers_by_itself_from_a_killed_worker(
    store: Store, submitter: Submitter, pool: Pool, clean: tuple[str, str]
) -> None:
    installed("flink-job-server")
    root = "s3://nsynth/killed-on-flink"
    before = pool.num_started()
    running = submitter.start(
        store.sources["generated"], *SMALL, "--runner", "flink", *pool.options, root=root
    )
    in_the_middle(store, root, running)
    pool.kill_worker()
    status, said = ended(running)
    assert status == 0, said
    assert pool.num_started() >= before + 2
    again = submitter.run(store.sources["generated"], *SMALL, root=root)
    assert "nothing to convert" in again["log"]
    assert store.digests(again["manifest"]) == clean


def test_prism_fails_at_once_with_a_killed_worker_and_a_rerun_resumes(
    store: Store, submitter: Submitter, pool: Pool, clean: tuple[str, str]
) -> None:
    installed("prism")
    root = "s3://nsynth/killed-on-prism"
    how = ("--runner", "prism", *pool.options)
    running = submitter.start(store.sources["generated"], *SMALL, *how, root=root)
    in_the_middle(store, root, running)
    pool.kill_worker()
    status, said = ended(running)
    assert status == 1
    assert "nsynth: the engine prism failed: " in said
    assert said.rstrip().endswith(GO_ON)
    assert "Traceback" not in said
    assert resumed(store, submitter, *how, root=root) == clean


def test_local_runner_killed_in_the_middle_is_resumed(
    store: Store, submitter: Submitter, clean: tuple[str, str]
) -> None:
    root = "s3://nsynth/killed-here"
    running = submitter.start(store.sources["generated"], *SMALL, root=root)
    in_the_middle(store, root, running)
    running.kill()
    assert ended(running)[0] == -signal.SIGKILL
    assert resumed(store, submitter, root=root) == clean


def test_dead_job_server_is_one_sentence_and_another_engine_finishes(
    store: Store, submitter: Submitter, pool: Pool, clean: tuple[str, str]
) -> None:
    installed("prism")
    root, port = "s3://nsynth/dead-server", free_port()
    command = [str(program("prism")), "-job_port", str(port), "-serve_http=false"]
    how = ("--runner", "portable", "--job-endpoint", f"localhost:{port}", *pool.options)
    log = submitter.cwd / "prism.log"
    with started(command, log=log, cwd=submitter.cwd, env=os.environ, port=port) as server:
        running = submitter.start(store.sources["generated"], *SMALL, *how, root=root)
        in_the_middle(store, root, running)
        server.kill()
        status, said = ended(running)
    assert status == 1
    assert "nsynth: portable was lost while it worked: " in said
    assert "Traceback" not in said
    assert resumed(store, submitter, root=root) == clean


def test_interrupted_submitter_cancels_its_job_on_the_cluster(
    store: Store, submitter: Submitter, cluster: str, clean: tuple[str, str]
) -> None:
    root = "s3://nsynth/cancelled"
    before = jobs(cluster)
    running = submitter.start(store.sources["generated"], *SMALL, *on_cluster(cluster), root=root)
    in_the_middle(store, root, running)
    running.send_signal(signal.SIGINT)
    status, said = ended(running)
    assert status == 130, said
    assert "stopped; run the same command again" in said
    (job,) = jobs(cluster).keys() - before.keys()
    wait_until(lambda: jobs(cluster)[job] == "CANCELED", seconds=60)
    again = submitter.run(store.sources["generated"], *SMALL, *on_cluster(cluster), root=root)
    assert store.digests(again["manifest"]) == clean


def test_cancelled_flow_cancels_its_job_on_the_cluster(
    store: Store, submitter: Submitter, cluster: str, clean: tuple[str, str]
) -> None:
    root = "s3://nsynth/cancelled-flow"
    (source,) = store.sources["generated"]
    before = jobs(cluster)
    running = submitter.begin(
        *("retrain", "--train", source, "--test", source, "--root", root),
        *(*LENIENT, "--max-dropped", "0.5", *on_cluster(cluster)),
        PREFECT_HOME=str(submitter.cwd / "prefect"),
        PREFECT_API_URL="",
    )
    wait_until(lambda: bool(jobs(cluster).keys() - before.keys()), seconds=180)
    (job,) = jobs(cluster).keys() - before.keys()
    wait_until(lambda: jobs(cluster)[job] == "RUNNING", seconds=60)
    # What a Prefect worker sends when its run is cancelled.
    running.terminate()
    assert ended(running)[0] != 0
    wait_until(lambda: jobs(cluster)[job] == "CANCELED", seconds=60)
    again = submitter.run([source], "--range-mib", "1", root=root)
    assert store.digests(again["manifest"]) == clean


def test_worker_without_credentials_is_one_sentence(
    store: Store, submitter: Submitter, pools: Callable[[Mapping[str, str]], Pool]
) -> None:
    installed("prism")
    nobody = pools({"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(submitter.cwd)})
    said = submitter.fail(
        store.sources["generated"],
        *("--runner", "prism", *nobody.options),
        root="s3://nsynth/unseen",
    )
    assert "nsynth: a worker cannot use s3://nsynth/unseen/notes/" in said
    assert "no credentials" in said
    assert "Traceback" not in said
    assert store.num_shards("s3://nsynth/unseen") == 0


@pytest.mark.parametrize("runner", ["local", "prism", "flink", "prism with a pool"])
def test_error_of_a_worker_is_one_sentence(
    runner: str, store: Store, submitter: Submitter, request: pytest.FixtureRequest
) -> None:
    source = "s3://nsynth/source/hopeless.tfrecord"
    store.fs.pipe_file(source, frame(b"?") * (2**16 + 1))
    how = ["--runner", runner.partition(" ")[0]]
    if runner != "local":
        installed("flink-job-server" if runner == "flink" else runner.partition(" ")[0])
    if "pool" in runner:
        how += request.getfixturevalue("pool").options
    said = submitter.fail([source], *how, root=f"s3://nsynth/hopeless/{runner.replace(' ', '-')}")
    begun, sentence = said.splitlines()
    assert begun.startswith("converting 1 of 1 range of hopeless.tfrecord")
    assert sentence.startswith("nsynth: more than 65536 records between bytes 0 and ")


@pytest.mark.parametrize(("runner", "part"), [("prism", "prism"), ("flink", "flink-job-server")])
def test_what_a_worker_warns_of_comes_back_to_the_submitter(
    runner: str,
    part: str,
    store: Store,
    submitter: Submitter,
    pools: Callable[[Mapping[str, str]], Pool],
) -> None:
    installed(part)
    with faulty_proxy(store.env["AWS_ENDPOINT_URL"]) as proxy:
        # The workers' own way to the store, which throttles the first put of each shard.
        proxy.plan = first("PUT", Fault.SLOW_DOWN, part="/part-")
        own = {name: value for name, value in store.env.items() if name != "AWS_ENDPOINT_URL"}
        pool = pools({**own, "AWS_ENDPOINT_URL": proxy.url})
        root = f"s3://nsynth/warned-{runner}"
        how = ("--range-mib", "16", "--runner", runner, *pool.options)
        found = submitter.run(store.sources["generated"], *how, root=root)
    assert "a worker: notes/" in found["log"]
    assert "; trying again in " in found["log"]
    assert proxy.faults[Fault.SLOW_DOWN] >= found["num_shards"]
