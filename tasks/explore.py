"""The trials of a study, the score of the chosen one, and the study's page, as tasks."""

from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_link_artifact, create_table_artifact

from pipelines import storage
from pipelines.report.study_page import write_study_page
from pipelines.studies.results import StudyRecord, store_study
from pipelines.studies.study import Trial
from pipelines.studies.trial import run_trial, score_candidate
from pipelines.text import markdown
from pipelines.train.run import epochs_as_progress
from pipelines.validate.verdicts import Validation
from tasks.policy import POLICY
from tasks.progress import show_progress
from tasks.report import report_link
from tasks.train import end_with_parent

if TYPE_CHECKING:
    from pipelines.studies.search import Claim


@task(name="trial", task_run_name="trial {trial.name}, seed {seed}", **POLICY)
def train_trial(trial: Trial, seed: int, validation: Validation, *, root: str) -> str:
    """Train and score one trial with one seed, unless its run is stored; return the run's URI."""
    end_with_parent()
    with show_progress(f"trial {trial.name} seed {seed}") as on_progress:
        return run_trial(
            trial,
            seed,
            validation,
            root=root,
            cache_dir=storage.cache_dir(root),
            on_epoch=epochs_as_progress(on_progress),
        )


@task(name="search-trial", task_run_name="trial {claim.trial.name}", **POLICY)
def search_trial(claim: "Claim", *, root: str) -> None:
    """Train and score one trial of a search, and record how it ended."""
    end_with_parent()
    with show_progress(f"trial {claim.trial.name}") as on_progress:
        claim.run(cache_dir=storage.cache_dir(root), on_epoch=epochs_as_progress(on_progress))


@task(name="score-candidate", task_run_name="score {trial.name} on the test notes", **POLICY)
def test_candidate(
    trial: Trial, seed: int, train: Validation, test: Validation, *, root: str
) -> str:
    """Train the chosen trial and score it on the test notes; return the run's URI."""
    with show_progress(f"candidate {trial.name} seed {seed}") as on_progress:
        return score_candidate(
            trial,
            seed,
            train,
            test,
            root=root,
            cache_dir=storage.cache_dir(root),
            on_epoch=epochs_as_progress(on_progress),
        )


@task(name="record-study", task_run_name="record study {record.name}", **POLICY)
def record_study(record: StudyRecord, *, uri: str) -> str:
    """Write the study's record and its page; return the page's URI."""
    store_study(record, uri)
    return write_study_page(record, uri)


@task(name="show-study", task_run_name="show study {record.name}", **POLICY)
def show_study(record: StudyRecord, *, page: str) -> None:
    """Show the trials on the page of this flow run."""
    create_table_artifact(key="trials", table=_rows(record), description=markdown(record.question))
    create_link_artifact(key="study", link=report_link(page), description="The study's page.")


def _rows(record: StudyRecord) -> list[dict[str, str]]:
    return [
        {
            "trial": trial.name,
            "change": trial.change,
            "accuracy": f"{trial.accuracy:.4f}",
            "gain, points": "" if trial.gain is None else f"{100 * trial.gain:+.1f}",
            "parameters": f"{trial.num_parameters:,}",
            "seconds an epoch": f"{trial.epoch_seconds:.2f}",
        }
        for trial in record.trials
    ]
