import pytest

from pipelines.experiment import Experiment
from pipelines.train.run import evaluate_model, train_model
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.tiny import commit_notes

FAMILIES = ("bass", "brass", "flute")


@pytest.fixture(scope="package")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A run that trained and was scored."""
    root = tmp_path_factory.mktemp("root")
    sides = {
        name: validate(commit_notes(root, name, [(first + i, FAMILIES[i % 3]) for i in range(num)]))
        for name, first, num in (("train", 0, 24), ("test", 100, 9))
    }
    plan = plan_run(
        train=sides["train"],
        test=sides["test"],
        experiment=Experiment(models=("preliminary",), epochs=1, batch_size=8),
        root=str(root),
        backend="tensorflow",
    )
    train_model(plan, "preliminary", cache_dir=root / "cache")
    evaluate_model(plan, "preliminary", cache_dir=root / "cache")
    return plan
