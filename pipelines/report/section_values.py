"""What each section of the page shows, under the names by which its template calls it."""

from typing import Any

from pipelines.report.drawing.balance import largest_share
from pipelines.report.findings.claims import tally
from pipelines.report.findings.counterparts import counterparts
from pipelines.report.story import Story
from pipelines.report.tables import count_rows, most_confused, parameter_rows
from pipelines.report.trainings import course, loss_limits
from pipelines.report.views import accuracies, note_choices, score_views, shown_slices


def section_values(story: Story, *, has_samples: bool) -> dict[str, Any]:
    """The values of all sections but those of notes to hear.

    Args:
      has_samples: whether the page could read the samples of the test notes.
    """
    return {
        "story": story,
        "run": story.run,
        "record": story.run.record,
        **_result(story),
        **_data(story),
        **_training(story),
        **_evaluation(story),
        **_claims(story, has_samples=has_samples),
        **_provenance(story),
    }


def _result(story: Story) -> dict[str, Any]:
    return {"accuracies": accuracies(story.run)}


def _data(story: Story) -> dict[str, Any]:
    datasets = story.run.record.datasets
    return {
        "counts": count_rows(datasets),
        "balance_limit": largest_share(of.families for of in datasets.values()),
    }


def _training(story: Story) -> dict[str, Any]:
    run = story.run
    return {
        "courses": [course(run, model) for model in run.models],
        "loss_limits": loss_limits(run),
    }


def _evaluation(story: Story) -> dict[str, Any]:
    run = story.run
    return {
        "choices": note_choices(run),
        "views": {model.name: score_views(model) for model in run.models},
        "slices": {model.name: shown_slices(model) for model in run.models},
        "reliability": {model.name: model.reliability for model in run.models},
        "confused": {model.name: most_confused(model.kept, run.families) for model in run.models},
    }


def _claims(story: Story, *, has_samples: bool) -> dict[str, Any]:
    return {
        "tally": tally(story.findings),
        "counterparts": counterparts(story.run, has_samples=has_samples),
    }


def _provenance(story: Story) -> dict[str, Any]:
    return {"experiment": parameter_rows(story.run.record.experiment)}
