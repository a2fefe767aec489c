"""Everything a report shows about one run, independent of output format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.analysis.stored import load_cost, load_features
from pipelines.promotion.stored import Promotion
from pipelines.registry.runs import FlowRun, load_decisions
from pipelines.report import findings, headline, leakage, published_comparison, reproduce
from pipelines.report.dropped_notes import Losses, load_losses
from pipelines.report.findings import Claim
from pipelines.report.results import RunResults, load_promotions, load_results


@dataclass(frozen=True)
class ReportData:
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
    commands: reproduce.Commands
    flow_runs: Sequence[FlowRun]


def load_report_data(run_uri: str) -> ReportData:
    """Reads what a run stored, and draws the conclusions.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    return build_report_data(load_results(run_uri))


def build_report_data(run: RunResults) -> ReportData:
    """The story of a run's results."""
    features, cost = load_features(run.uri), load_cost(run.uri)
    return ReportData(
        run=run,
        verdict=headline.describe(run),
        protocol=headline.describe_protocol(run),
        promotions=load_promotions(run),
        comparison=published_comparison.describe(run),
        losses=load_losses(run),
        leaks=leakage.describe(leakage.find_overlap(run), run.record.experiment.protocol),
        features=features,
        cost=cost,
        findings=findings.find_all(run, features, cost),
        setting=published_comparison.describe_setting(run),
        commands=reproduce.commands(run),
        flow_runs=load_decisions(run.uri),
    )
