"""Promotion as a user meets it: in the main job, by hand, and through a webhook."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command import run, run_json
from tests.flows.conftest import LENIENT
from tests.pipelines.webhook import webhook

TOKEN = "T0ken-that-nobody-may-see"  # noqa: S105 - of no service
SECRET = "s3cret-that-nobody-may-see"  # noqa: S105 - as above


@pytest.fixture(scope="module")
def worse(
    retrained: dict[str, Any],
    source: Path,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The main job on data with more damaged records, with secrets in its environment."""
    home, damaged = (tmp_path_factory.mktemp(name) for name in ("prefect-with-secrets", "damaged"))
    data = bytearray((source / "nsynth-train.tfrecord").read_bytes())
    for place in range(len(data) // 16, len(data), len(data) // 8):
        data[place] ^= 1
    (damaged / "worse.tfrecord").write_bytes(data)
    with webhook() as server:
        done = run(
            *("nsynth", "retrain", "--train", str(damaged / "worse.tfrecord")),
            *("--test", str(source / "nsynth-test.tfrecord"), "--root", str(root)),
            *("--epochs", "1", "--model", "preliminary", *LENIENT, "--json"),
            env={
                "PREFECT_HOME": str(home),
                "PREFECT_API_URL": "",
                "PREFECT_LOGGING_LEVEL": "DEBUG",
                "NSYNTH_WEBHOOK": f"{server.url}/hooks/{TOKEN}",
                "AWS_SECRET_ACCESS_KEY": SECRET,
            },
        )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result | {"home": home, "said": done.stdout + done.stderr, "posted": server.posted}


def test_main_job_promotes_the_first_models(retrained: dict[str, Any], root: Path) -> None:
    for of in retrained["promotion"].values():
        assert (of["outcome"], of["entry"], of["champion"]) == ("promoted", 1, None)
        assert "there was no champion" in of["why"]
    looks = [of["gate"]["look"] for of in retrained["promotion"].values()]
    assert sorted(looks) == [1, 2]
    champions = run_json("nsynth", "list", str(root))["champions"]
    assert {model: of["run_id"] for model, of in champions.items()} == dict.fromkeys(
        retrained["models"], retrained["run_id"]
    )


def test_worse_data_are_told_to_the_webhook(
    retrained: dict[str, Any], worse: dict[str, Any]
) -> None:
    (path, message), *others = worse["posted"]
    assert path == f"/hooks/{TOKEN}"
    assert message["run_id"] == worse["run_id"]
    assert message["model"] == "preliminary"
    assert "damaged records of the train data rose from" in message["text"]
    assert len([message, *(of for _, of in others)]) == len(
        worse["promotion"]["preliminary"]["health"]
    )


def test_worse_data_mark_the_flow_run(worse: dict[str, Any]) -> None:
    with sqlite3.connect(worse["home"] / "prefect.db") as database:
        found = database.execute(
            "select state_type, state_name, message from flow_run join flow_run_state "
            "on flow_run.state_id = flow_run_state.id where flow_run.name like 'retrain%'"
        ).fetchall()
    ((kind, name, message),) = found
    assert (kind, name) == ("COMPLETED", "Got worse")
    assert "of the train data rose from" in message


def test_secrets_are_in_nothing_that_is_written(worse: dict[str, Any], root: Path) -> None:
    written = {
        path: path.read_bytes()
        for folder in (root, worse["home"])
        for path in folder.rglob("*")
        if path.is_file()
    }
    # What is looked through is where a run leaves its traces.
    traced = [path for path, data in written.items() if worse["run_id"].encode() in data]
    assert {path.name for path in traced} >= {"run.json", "promotion.json"}
    assert any(worse["home"] in path.parents for path in traced)
    for secret in (TOKEN, SECRET):
        assert secret not in worse["said"]
        assert not [path for path, data in written.items() if secret.encode() in data]


def test_promote_by_hand_overrides_and_rollback_takes_it_back(
    retrained: dict[str, Any], worse: dict[str, Any], root: Path
) -> None:
    asked = ("nsynth", "promote", worse["run_id"], "--root", str(root), "--reason", "a trial")
    refused = run(*asked)
    assert refused.returncode == 1
    assert "too few" in " ".join(refused.stdout.split())
    found = run_json(*asked, "--override")["promotion"]["preliminary"]
    assert (found["outcome"], found["by"], found["entry"]) == ("promoted", "hand", 2)
    back = run_json("nsynth", "rollback", "preliminary", "--root", str(root))["champion"]
    assert (back["run_id"], back["points_to"], back["number"]) == (retrained["run_id"], 1, 3)


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (("promote", "abc"), 2, "Missing option '--reason'"),
        (("promote", "abc", "--reason", "x"), 1, "no run 'abc'"),
        (("rollback", "optimised"), 1, "no model was champion of optimised before"),
        (("rollback", "enormous"), 1, "enormous has no champion to roll back from"),
        (("rollback", "optimised", "--to", "7"), 1, "optimised has entries from 1 to 1, not 7"),
    ],
)
def test_commands_say_in_a_sentence_what_is_wrong(
    retrained: dict[str, Any], root: Path, asked: tuple[str, ...], code: int, sentence: str
) -> None:
    done = run("nsynth", *asked, "--root", str(root))
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
