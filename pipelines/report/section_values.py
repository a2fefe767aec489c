"""What single sections show beside the results: read where the run stored it, by template name."""

from typing import Any

from pipelines.registry.log import load_log
from pipelines.report.balance import draw_balance, largest_share
from pipelines.report.champion import changes
from pipelines.report.commands import commands
from pipelines.report.losses import NUM_EXAMPLES, load_losses
from pipelines.report.overlap import find_overlap
from pipelines.report.references import REFERENCES
from pipelines.report.results import RunResults
from pipelines.report.trainings import course, loss_limits


def section_values(run: RunResults) -> dict[str, Any]:
    """The values that the templates of these sections call by name."""
    return {
        # result
        "changes": changes,
        # data
        "losses": load_losses(run),
        "num_examples": NUM_EXAMPLES,
        "overlap": find_overlap(run),
        "balance_chart": draw_balance,
        "balance_limit": largest_share(of.families for of in run.record.datasets.values()),
        # training
        "courses": [course(run, model) for model in run.models],
        "loss_limits": loss_limits(run),
        # provenance
        "commands": commands(run),
        "flow_runs": load_log(run.uri),
        "references": REFERENCES,
    }
