"""Everything a report shows about one run, independent of output format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import storage
from pipelines.analysis.stored import (
    StressSheet,
    load_baselines,
    load_cost,
    load_features,
    load_stress,
)
from pipelines.evaluate.stored import Metrics
from pipelines.promotion.stored import Promotion
from pipelines.registry.runs import FlowRun, load_decisions
from pipelines.report import findings, headline, leakage, published_comparison, reproduce
from pipelines.report.dropped_notes import DroppedNotes, load_dropped_notes
from pipelines.report.results import RunResults, load_promotions, load_results
from pipelines.studies.results import StudyRecord
from pipelines.studies.store import studies_of


@dataclass(frozen=True)
class ReportData:
    """The results of a run and what follows from them; sentences are plain text.

    Attributes:
      headline: which model is better, and how sure that is.
      protocol: how the run trained, and of which instruments its scored notes are.
      promotions: decisions on the models that were compared with a champion, by name.
      comparison: with the published figures; empty where no model has any.
      dropped: of each data set once, by the part that it plays.
      leakage: what training and scored notes share, one sentence each.
      features: the content of features.json; None where there is none.
      baselines: metrics of the stored baselines, by name.
      stress: robustness sheets by model; empty where there are none.
      cost: the content of cost.json; None where there is none.
      findings: of the reference report, in its order.
      setting: what the verdicts on them are about.
      commands: that repeat the run.
      flow_runs: that did something for it, oldest first.
    """

    run: RunResults
    headline: str
    protocol: str
    promotions: Mapping[str, Promotion]
    comparison: str
    dropped: Mapping[str, DroppedNotes]
    leakage: Sequence[str]
    features: Mapping[str, Any] | None
    baselines: Mapping[str, Metrics]
    stress: Mapping[str, StressSheet]
    cost: Mapping[str, Any] | None
    findings: Sequence[findings.Claim]
    setting: str
    commands: reproduce.Commands
    flow_runs: Sequence[FlowRun]


def load_report_data(run_uri: str) -> ReportData:
    """Read what a run stored, and draw the conclusions.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    return build_report_data(load_results(run_uri))


def build_report_data(run: RunResults) -> ReportData:
    """Draw the conclusions from a run's results."""
    features, cost = load_features(run.uri), load_cost(run.uri)
    return ReportData(
        run=run,
        headline=headline.describe(run),
        protocol=headline.describe_protocol(run),
        promotions=load_promotions(run),
        comparison=published_comparison.describe(run),
        dropped=load_dropped_notes(run),
        leakage=leakage.describe(leakage.find_leakage(run), run.record.experiment.protocol),
        features=features,
        baselines=load_baselines(run.uri),
        stress=load_stress(run.uri, [model.name for model in run.models]),
        cost=cost,
        findings=findings.find_all(run, features, cost, _studies(run)),
        setting=published_comparison.describe_setting(run),
        commands=reproduce.commands(run),
        flow_runs=load_decisions(run.uri),
    )


def _studies(run: RunResults) -> list[tuple[str, StudyRecord]]:
    """Return the studies on the training data of a run."""
    root = storage.parent(storage.parent(run.uri))
    return studies_of(root, run.record.datasets["train"].manifest_digest)
