"""A model of a run against the champion of its name: judged on the gate, and promoted or not.

Nothing here reads the test data or what a model made of it: a nightly choice by test notes would
make their scores meaningless.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipelines.decisions import decided
from pipelines.errors import ConfigError, PipelineError
from pipelines.promotion.candidate import (
    Candidate,
    candidate,
    champion_candidate,
    gate_of,
    gate_scores,
    why_not_comparable,
)
from pipelines.promotion.stored import (
    ChampionRef,
    HoldoutFigures,
    Promotion,
    load_promotion,
    store_promotion,
)
from pipelines.promotion.verdict import Verdict, check_margin, data_alarms, first_verdict, judge
from pipelines.registry.champions import By, Entry, history, set_champion
from pipelines.registry.holdout import Holdout, current_holdout, record_look

STAGE: Final = "promote"

GROUPED: Final = "the protocol grouped measures, and leaves no model to promote"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Question:
    """What is asked, and what the registry held then."""

    root: str
    challenger: Candidate
    entries: Sequence[Entry]
    margin: float
    by: By
    reason: str

    @property
    def champion(self) -> Entry | None:
        return self.entries[-1] if self.entries else None


def promote(
    run_uri: str,
    model: str,
    *,
    root: str,
    cache_dir: Path,
    margin: float = 0.0,
    by: By = "flow",
    reason: str = "",
    override: bool = False,
) -> Promotion:
    """Decides on a model and, if it is promoted, makes it the champion of its name.

    May run twice, and in many processes at once: the same question has the same answer, which is
    neither counted as another look at the gate nor entered again.

    Args:
      root: the location that holds `registry/`.
      cache_dir: local folder for samples.
      margin: how much worse than the champion the model may be, as a difference of accuracies.
      override: promote it whatever the rule says; only a hand may, with a reason.

    Raises:
      ConfigError: the run or the model is not there, or the request makes no sense.
    """
    check_margin(margin)
    if override and (by != "hand" or not reason):
        raise ConfigError("only a hand may override the gate, and it has to give a reason")
    challenger = candidate(run_uri, model)
    while True:
        question = _Question(root, challenger, history(root, model), margin, by, reason)
        known = _answered(question, run_uri, override=override)
        if known is not None:
            decided(log, STAGE, model, "reused", known.why)
            return known
        if demotion := _was_demoted(question):
            # What the run says of its promotion then stays as it is.
            decided(log, STAGE, model, demotion.outcome, demotion.why)
            return demotion
        ruled = _ask(question, cache_dir)
        promotion = ruled
        if override and ruled.outcome != "promoted":
            why = f"promoted by hand ({reason}), although the rule says: {ruled.why}"
            promotion = replace(ruled, outcome="promoted", why=why)
        if promotion.outcome == "promoted":
            entry = set_champion(root, _entry(promotion, question, verdict=ruled.outcome))
            if entry is None:
                log.info("%s has another champion by now; deciding again", model)
                continue
            promotion = replace(promotion, entry=entry.number)
        store_promotion(run_uri, promotion)
        decided(log, STAGE, model, promotion.outcome, promotion.why)
        return promotion


def _answered(question: _Question, run_uri: str, *, override: bool) -> Promotion | None:
    """The answer that was given before, where nothing has changed since."""
    challenger, champion = question.challenger, question.champion
    stored = load_promotion(run_uri, challenger.model)
    if champion is not None and champion.model_sha256 == challenger.model_sha256:
        if stored is None or stored.entry is None:
            # A killed process crowned it without a word in the run.
            first = Verdict("promoted", champion.why, is_drop=False, figures=dict(champion.figures))
            stored = replace(_promotion(question, first), entry=champion.number, champion=None)
            store_promotion(run_uri, stored)
        why = f"run {challenger.run.run_id} is the champion of {challenger.model} already"
        return replace(
            stored,
            outcome="promoted",
            why=f"{why} (entry {champion.number})",
            quality_drop=False,
            health=(),
            is_news=False,
        )
    if stored is None or override or question.by != stored.by or stored.outcome == "promoted":
        return None
    gate = current_holdout(question.root)
    asked = (
        challenger.model_sha256,
        champion.number if champion else None,
        gate.digest if gate else None,
        question.margin,
    )
    answered = (
        stored.model_sha256,
        stored.champion.number if stored.champion else None,
        stored.gate.digest if stored.gate else None,
        stored.margin,
    )
    return stored if asked == answered else None


def _ask(question: _Question, cache_dir: Path) -> Promotion:
    """Asks the gate, unless something forbids it."""
    challenger, champion = question.challenger, question.champion
    gate = current_holdout(question.root)
    if challenger.run.experiment.protocol == "grouped":
        return _promotion(question, _refused(GROUPED), gate=gate)
    gate = gate or gate_of(challenger, question.root)
    if gate is None:
        lack = "there is no gate: no whole instruments could be kept out of training for one"
        return _promotion(question, _refused(lack))
    if why := why_not_comparable(challenger, gate, "it"):
        return _promotion(question, _refused(why), gate=gate)
    rival, before = None, None
    if champion is not None:
        try:
            rival = champion_candidate(champion, question.root)
            why = why_not_comparable(rival, gate, "the champion")
            before = None if why else gate_scores(rival, gate, cache_dir)
        except PipelineError as err:
            why = f"the champion cannot be compared with: {err}"
        if why:
            return _promotion(question, _refused(why), rival, gate=gate)
    scores = gate_scores(challenger, gate, cache_dir)
    what = {
        "model": challenger.model,
        "challenger": challenger.named(),
        "champion": rival and rival.named(),
        "margin": question.margin,
    }
    # Before any figure is seen: a look that a kill interrupts is one.
    number = record_look(gate, what)
    verdict = (
        first_verdict(scores) if before is None else judge(before, scores, margin=question.margin)
    )
    return _promotion(question, verdict, rival, gate=gate, number=number)


def _was_demoted(question: _Question) -> Promotion | None:
    """The answer for a former champion, which would come back at night; None where it may."""
    own = question.challenger.model_sha256
    before = [entry.number for entry in question.entries if entry.model_sha256 == own]
    if not before or question.by != "flow":
        return None
    why = f"it was champion before, by entry {before[-1]}; only a hand brings it back"
    verdict = Verdict("kept champion", why, is_drop=False, figures={})
    return replace(_promotion(question, verdict), is_news=False)


def _refused(why: str) -> Verdict:
    return Verdict("refused", why, is_drop=False, figures={})


def _promotion(
    question: _Question,
    verdict: Verdict,
    rival: Candidate | None = None,
    *,
    gate: Holdout | None = None,
    number: int | None = None,
) -> Promotion:
    challenger, champion = question.challenger, question.champion
    health = data_alarms(rival.run.datasets, challenger.run.datasets) if rival else ()
    return Promotion(
        model=challenger.model,
        run_id=challenger.run.run_id,
        model_sha256=challenger.model_sha256,
        outcome=verdict.outcome,
        why=verdict.why,
        by=question.by,
        reason=question.reason,
        margin=question.margin,
        entry=None,
        gate=_figures_of(gate, number) if gate else None,
        champion=_reference(champion) if champion else None,
        # As they are read back: with lists for tuples.
        figures=json.loads(json.dumps(verdict.figures)),
        quality_drop=verdict.is_drop,
        health=tuple(health),
    )


def _figures_of(gate: Holdout, number: int | None) -> HoldoutFigures:
    return HoldoutFigures(gate.digest, gate.notes.num_rows, gate.num_instruments, number)


def _reference(champion: Entry) -> ChampionRef:
    return ChampionRef(champion.number, champion.run_id, champion.model_sha256)


def _entry(promotion: Promotion, question: _Question, *, verdict: str) -> Entry:
    return Entry(
        number=len(question.entries) + 1,
        model=promotion.model,
        run_id=promotion.run_id,
        model_uri=question.challenger.place(question.root),
        model_sha256=promotion.model_sha256,
        gate=promotion.gate.digest if promotion.gate else None,
        verdict=verdict,
        why=promotion.why,
        figures=promotion.figures,
        by=promotion.by,
        reason=promotion.reason,
    )
