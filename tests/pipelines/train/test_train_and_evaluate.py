from pathlib import Path

import pytest

from pipelines.progress import Progress
from pipelines.registry.runs import load_run
from pipelines.train.run import train_and_evaluate
from tests.pipelines.train.conftest import EXPERIMENT


def test_train_and_evaluate_completes_a_run_and_tells_how_far_it_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSYNTH_CACHE", str(tmp_path / "cache"))
    heard: list[Progress] = []
    uri = train_and_evaluate(
        {side: f"{root}/notes/{side}/manifest.json" for side in ("train", "test")},
        experiment=EXPERIMENT,
        root=str(tmp_path),
        max_dropped=1.0,
        on_progress=heard.append,
    )
    assert [(step.stage, step.done, step.total) for step in heard] == [
        ("train preliminary", 1, 2),
        ("train preliminary", 2, 2),
    ]
    assert load_run(uri).experiment == EXPERIMENT
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [
        *[".f32"] * 2,
        *[".json"] * 2,
        *[".lock"] * 2,
    ]
