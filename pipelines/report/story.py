"""What a report tells of a run, whatever its form: its results, and all that follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.analysis.stored import load_cost, load_features
from pipelines.promotion.stored import Promotion
from pipelines.registry.runs import FlowRun, load_decisions
from pipelines.report import commands, comparison, overlap, verdict
from pipelines.report.findings import claims, setting
from pipelines.report.findings.claim import Claim
from pipelines.report.losses import Losses, load_losses
from pipelines.report.results import RunResults, load_promotions, load_results


@dataclass(frozen=True)
class Story:
    """A run as a report tells it; sentences are plain text.

    Attributes:
      verdict: which model is better, and how sure that is.
      protocol: how the run trained, and of which instruments its scored notes are.
      promotions: of the models that were set against a champion, by name.
      comparison: with the published figures; empty where no model has any.
      losses: of each data set once, by the part that it plays.
      leaks: what training and scored notes share, a sentence each.
      features: the content of features.json; None where there is none.
      cost: that of cost.json, likewise.
      findings: the reference's, in its order.
      setting: what the verdicts on them are about.
      commands: that make the run again.
      flow_runs: that did something for it, oldest first.
    """

    run: RunResults
    verdict: str
    protocol: str
    promotions: Mapping[str, Promotion]
    comparison: str
    losses: Mapping[str, Losses]
    leaks: Sequence[str]
    features: Mapping[str, Any] | None
    cost: Mapping[str, Any] | None
    findings: Sequence[Claim]
    setting: str
    commands: commands.Commands
    flow_runs: Sequence[FlowRun]


def load_story(run_uri: str) -> Story:
    """Reads what a run stored, and draws the conclusions.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    return tell(load_results(run_uri))


def tell(run: RunResults) -> Story:
    """The story of a run's results."""
    features, cost = load_features(run.uri), load_cost(run.uri)
    return Story(
        run=run,
        verdict=verdict.describe(run),
        protocol=f"{verdict.PROTOCOLS[run.record.experiment.protocol]} {verdict.instruments(run)}",
        promotions=load_promotions(run),
        comparison=comparison.describe(run),
        losses=load_losses(run),
        leaks=overlap.describe(overlap.find_overlap(run), run.record.experiment.protocol),
        features=features,
        cost=cost,
        findings=claims.claims(run, features, cost),
        setting=setting.describe(run),
        commands=commands.commands(run),
        flow_runs=load_decisions(run.uri),
    )
