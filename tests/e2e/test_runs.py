"""The way it is used every day: deployments run, run again, scheduled, refused."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.stack import Stack, until
from tests.flows.command import CHECKOUT


@pytest.fixture(scope="module")
def first(stack: Stack, parameters: dict[str, Any], other_root: Path) -> Any:
    """The main job by the command that users type, with its root."""
    root = other_root
    given = parameters | {"root": str(root)}
    arguments = [word for name, of in given.items() for word in ("-p", f"{name}={_typed(of)}")]
    done = stack.command(
        *("prefect", "deployment", "run", "retrain/manual", *arguments),
        *("--watch", "--watch-timeout", "580"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    only = {"flow_runs": {"parent_task_run_id": {"is_null_": True}}, "sort": "START_TIME_DESC"}
    runs = stack.ask("POST", "flow_runs/filter", only)
    return next(run for run in runs if run["parameters"].get("root") == str(root)), root


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_up_may_be_repeated_and_status_tells(stack: Stack) -> None:
    before = {name: stack.service(name).pid for name in ("server", "worker", "reports")}
    stack.orchestrate("up")
    assert {name: stack.service(name).pid for name in before} == before
    said = stack.orchestrate("status")
    assert f"server  pid {before['server']}" in said
    assert "gpu: 0 of 1 at work" in said


def test_deployment_completes_and_its_names_are_sentences(stack: Stack, first: Any) -> None:
    run, _ = first
    assert run["state"]["type"] == "COMPLETED"
    assert run["name"] == (
        "retrain preliminary for 2 epochs on nsynth-train.tfrecord, test on nsynth-test.tfrecord"
    )
    only = {"task_runs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 50}
    names = {task["name"] for task in stack.ask("POST", "task_runs/filter", only)}
    assert names >= {
        "train preliminary for 2 epochs",
        "score preliminary on the test notes",
        "compare preliminary with the champion on held-out notes",
        "summarise the run",
    }
    assert {sub["name"] for sub in stack.subflows(run["id"])} == {
        "build the data set of nsynth-train.tfrecord",
        "build the data set of nsynth-test.tfrecord",
    }


def test_run_shows_its_story_in_artifacts(stack: Stack, first: Any) -> None:
    run, root = first
    artifacts = stack.artifacts(run["id"])
    summary = artifacts["summary"]["data"]
    metrics = json.loads(next(Path(root).glob("runs/*/preliminary/metrics.json")).read_text())
    assert summary.startswith(f"# preliminary {metrics['accuracy']:.4f}")
    assert summary.index("## Promotion") < summary.index("## Scores on the test notes")
    assert "| preliminary | promoted |" in summary
    assert "look 1 at this gate" in summary
    assert "data:image/png;base64," in summary
    assert "dropped: synth" in summary
    link = summary.split("](http")[1].split(")")[0]
    page = httpx.get(f"http{link}", timeout=60)
    assert page.is_success
    assert "<title>" in page.text
    kinds = [artifact["type"] for artifact in artifacts.values()]
    assert kinds.count("progress") >= 2
    assert all(of["data"] == 100 for of in artifacts.values() if of["type"] == "progress")
    assert [key for key in artifacts if key.startswith("drops-")]


def test_run_page_has_the_words_of_the_work(stack: Stack, first: Any) -> None:
    run, _ = first
    words = "\n".join(stack.words(run["id"]))
    assert "no trained preliminary is stored" in words
    assert "preliminary epoch 2/2" in words
    assert "converting" in words


def test_second_run_does_nothing_and_says_why(
    stack: Stack, first: Any, parameters: dict[str, Any]
) -> None:
    _, root = first
    models = {path: path.stat().st_mtime_ns for path in Path(root).rglob("*.keras")}
    run = stack.completed("retrain/manual", **parameters, root=str(root))
    assert {path: path.stat().st_mtime_ns for path in Path(root).rglob("*.keras")} == models
    summary = stack.artifacts(run["id"])["summary"]["data"]
    assert summary.count("| reused |") >= 5
    assert "| ran |" not in summary
    assert "is the champion of preliminary already" in summary


def test_build_dataset_runs_alone(stack: Stack, source: Path, tmp_path: Path) -> None:
    run = stack.completed(
        "build-dataset/manual",
        source=str(source / "nsynth-valid.tfrecord"),
        root=str(tmp_path),
        max_quarantined=0.5,
        max_dropped=0.5,
    )
    assert run["work_queue_name"] == "cpu"
    assert "notes kept" in stack.artifacts(run["id"])["data-set"]["data"]


@pytest.mark.parametrize("is_relative", [False, True])
def test_error_of_the_user_ends_a_run_at_once_in_a_sentence(
    stack: Stack, parameters: dict[str, Any], tmp_path: Path, is_relative: bool
) -> None:
    folder = Path() if is_relative else tmp_path
    given = parameters | {"train": str(folder / "gone.tfrecord"), "root": str(tmp_path)}
    run = stack.end_of(stack.start("retrain/manual", **given))
    assert run["state"]["type"] == "FAILED"
    assert "gone.tfrecord" in run["state"]["message"]
    # The worker's checkout, not the folder of whoever created the run.
    assert (f"relative to {CHECKOUT}," in run["state"]["message"]) == is_relative
    only = {"task_runs": {"flow_run_id": {"any_": [s["id"] for s in stack.subflows(run["id"])]}}}
    assert [task["run_count"] for task in stack.ask("POST", "task_runs/filter", only)] == [1]


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"models": ["enormous"]}, {"protocol": "lenient"}])
def test_bad_value_is_refused_when_the_run_is_created(
    stack: Stack, parameters: dict[str, Any], bad: dict[str, Any]
) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"4\d\d") as refused:
        stack.start("retrain/manual", **parameters | bad)
    assert next(iter(bad)) in refused.value.response.text


def test_nightly_is_scheduled(stack: Stack) -> None:
    nightly = stack.ask("GET", "deployments/name/retrain/nightly")
    assert [schedule["active"] for schedule in nightly["schedules"]] == [True]
    assert nightly["global_concurrency_limit"]["limit"] == 1
    only = {
        "deployments": {"id": {"any_": [nightly["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    runs = until(lambda: stack.ask("POST", "flow_runs/filter", only), "a run of the schedule")
    assert all("T03:00:00" in run["expected_start_time"] for run in runs)
    assert all(run["auto_scheduled"] for run in runs)


def test_cron_run_of_the_minute_starts_by_itself(
    stack: Stack, parameters: dict[str, Any], first: Any
) -> None:
    _, root = first
    manual = stack.ask("GET", "deployments/name/retrain/manual")
    schedule = {
        "active": True,
        "schedule": {"cron": "* * * * *", "timezone": "UTC"},
        "parameters": parameters | {"root": str(root)},
    }
    path = f"deployments/{manual['id']}/schedules"
    (created,) = stack.ask("POST", path, [schedule])
    only = {
        "deployments": {"id": {"any_": [manual["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING", "COMPLETED"]}}},
        "sort": "START_TIME_DESC",
    }

    def by_itself() -> Any:
        runs = stack.ask("POST", "flow_runs/filter", only)
        return [run for run in runs if run["auto_scheduled"]]

    try:
        (run, *_) = until(by_itself, "a run of the cron schedule")
    finally:
        stack.ask("DELETE", f"{path}/{created['id']}")
    assert stack.end_of(run["id"])["state"]["type"] == "COMPLETED"


def test_deployments_store_no_path_of_the_checkout(stack: Stack) -> None:
    for name in ("retrain/nightly", "retrain/manual", "build-dataset/manual"):
        found = stack.ask("GET", f"deployments/name/{name}")
        assert not found["path"] or not Path(found["path"]).is_absolute()
        steps = json.dumps(found["pull_steps"])
        assert "prefect.variables.nsynth_checkout" in steps
        assert str(Path(__file__).parents[2]) not in steps
