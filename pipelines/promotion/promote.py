"""Promotion of a model of a run: compared with the champion of its name on the held-out notes.

Nothing here reads the test data or what a model predicted for it: a nightly choice by test notes
would make their scores meaningless.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipelines.decisions import record_decision
from pipelines.errors import ConfigError, PipelineError
from pipelines.promotion.candidate import Candidate, champion_candidate, load_candidate
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

MEASURES: Final = "the protocol {} measures, and leaves no model to promote"
NO_HOLDOUT: Final = "there is no gate: no whole instruments could be kept out of training for one"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Request:
    """A request, and the champions in the registry when it was made."""

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
    """Decide on a model and, if it is promoted, make it the champion of its name.

    May run twice, and in many processes at once: the same request has the same answer, which is
    neither counted as another look at the holdout nor entered again.

    Args:
      root: the location that holds `registry/`.
      cache_dir: local folder for samples.
      margin: how much worse than the champion the model may be, as a difference of accuracies.
      override: promote it whatever the rule says; only a person may, with a reason.

    Raises:
      ConfigError: the run or the model is not there, or the request makes no sense.
    """
    check_margin(margin)
    if override and (by != "hand" or not reason):
        raise ConfigError("only a hand may override the gate, and it has to give a reason")
    challenger = load_candidate(run_uri, model)
    while True:
        request = _Request(root, challenger, history(root, model), margin, by, reason)
        known = _known_answer(request, run_uri, override=override)
        if known is not None:
            record_decision(log, STAGE, model, "reused", known.why)
            return known
        if demotion := _was_demoted(request):
            # The stored decision on the model stays as it is.
            record_decision(log, STAGE, model, demotion.outcome, demotion.why)
            return demotion
        ruled = _decide(request, cache_dir)
        promotion = ruled
        if override and ruled.outcome != "promoted":
            why = f"promoted by hand ({reason}), although the rule says: {ruled.why}"
            promotion = replace(ruled, outcome="promoted", why=why)
        if promotion.outcome == "promoted":
            entry = set_champion(root, _entry(promotion, request, verdict=ruled.outcome))
            if entry is None:
                log.info("%s has another champion by now; deciding again", model)
                continue
            promotion = replace(promotion, entry=entry.number)
        store_promotion(run_uri, promotion)
        record_decision(log, STAGE, model, promotion.outcome, promotion.why)
        return promotion


def _known_answer(request: _Request, run_uri: str, *, override: bool) -> Promotion | None:
    """Return the answer that was given before, where nothing has changed since."""
    challenger, champion = request.challenger, request.champion
    stored = load_promotion(run_uri, challenger.model)
    if champion is not None and champion.model_sha256 == challenger.model_sha256:
        if stored is None or stored.entry is None:
            # A process was killed after it had entered the model in the registry.
            first = Verdict("promoted", champion.why, is_drop=False, figures=dict(champion.figures))
            stored = replace(_promotion(request, first), entry=champion.number, champion=None)
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
    if stored is None or override or request.by != stored.by or stored.outcome == "promoted":
        return None
    holdout = current_holdout(request.root)
    is_same = (
        stored.model_sha256 == challenger.model_sha256
        and stored.margin == request.margin
        and (stored.champion and stored.champion.number) == (champion and champion.number)
        and (stored.gate and stored.gate.digest) == (holdout and holdout.digest)
    )
    return stored if is_same else None


def _was_demoted(request: _Request) -> Promotion | None:
    """Return the answer for a former champion, which only a person brings back; else None."""
    own = request.challenger.model_sha256
    before = [entry.number for entry in request.entries if entry.model_sha256 == own]
    if not before or request.by != "flow":
        return None
    why = f"it was champion before, by entry {before[-1]}; only a hand brings it back"
    verdict = Verdict("kept champion", why, is_drop=False, figures={})
    return replace(_promotion(request, verdict), is_news=False)


def _decide(request: _Request, cache_dir: Path) -> Promotion:
    """Compare the model with the champion on the held-out notes, unless something forbids it."""
    challenger, entry = request.challenger, request.champion
    holdout = current_holdout(request.root)
    experiment = challenger.run.experiment
    if not experiment.takes_test_data:
        return _refuse(request, MEASURES.format(experiment.protocol), holdout)
    holdout = holdout or challenger.make_holdout(request.root)
    if holdout is None:
        return _refuse(request, NO_HOLDOUT)
    if why := challenger.overlap(holdout, "it") or challenger.missing_notes(holdout):
        return _refuse(request, why, holdout)
    champion, before = None, None
    if entry is not None:
        try:
            champion = champion_candidate(entry, request.root)
            why = champion.overlap(holdout, "the champion")
            before = None if why else champion.score(holdout, cache_dir)
        except PipelineError as err:
            why = f"the champion cannot be compared with: {err}"
        if why:
            return _refuse(request, why, holdout, champion)
    after = challenger.score(holdout, cache_dir)
    compared = {
        "model": challenger.model,
        "challenger": challenger.identity(),
        "champion": champion and champion.identity(),
        "margin": request.margin,
    }
    # Before any figure is seen: a look that is interrupted counts.
    look = record_look(holdout, compared)
    verdict = (
        first_verdict(after) if before is None else judge(before, after, margin=request.margin)
    )
    return _promotion(request, verdict, holdout, champion, look=look)


def _refuse(
    request: _Request,
    why: str,
    holdout: Holdout | None = None,
    champion: Candidate | None = None,
) -> Promotion:
    verdict = Verdict("refused", why, is_drop=False, figures={})
    return _promotion(request, verdict, holdout, champion)


def _promotion(
    request: _Request,
    verdict: Verdict,
    holdout: Holdout | None = None,
    champion: Candidate | None = None,
    *,
    look: int | None = None,
) -> Promotion:
    challenger, entry = request.challenger, request.champion
    alarms = data_alarms(champion.run.datasets, challenger.run.datasets) if champion else ()
    return Promotion(
        model=challenger.model,
        run_id=challenger.run.run_id,
        model_sha256=challenger.model_sha256,
        outcome=verdict.outcome,
        why=verdict.why,
        by=request.by,
        reason=request.reason,
        margin=request.margin,
        entry=None,
        gate=_figures(holdout, look) if holdout else None,
        champion=ChampionRef(entry.number, entry.run_id, entry.model_sha256) if entry else None,
        # As they are read back: with lists for tuples.
        figures=json.loads(json.dumps(verdict.figures)),
        quality_drop=verdict.is_drop,
        health=tuple(alarms),
    )


def _figures(holdout: Holdout, look: int | None) -> HoldoutFigures:
    return HoldoutFigures(holdout.digest, holdout.notes.num_rows, holdout.num_instruments, look)


def _entry(promotion: Promotion, request: _Request, *, verdict: str) -> Entry:
    return Entry(
        number=len(request.entries) + 1,
        model=promotion.model,
        run_id=promotion.run_id,
        model_uri=request.challenger.relative_uri(request.root),
        model_sha256=promotion.model_sha256,
        gate=promotion.gate.digest if promotion.gate else None,
        verdict=verdict,
        why=promotion.why,
        figures=promotion.figures,
        by=promotion.by,
        reason=promotion.reason,
    )
