"""The decision on promotion that a run stores for each of its models, `<model>/promotion.json`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.layout import PROMOTION
from pipelines.promotion.verdict import Outcome
from pipelines.records import Count, Name, now, read_record, to_json
from pipelines.registry.champions import By

FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class HoldoutFigures:
    """The held-out notes used for a decision.

    Attributes:
      digest: of the holdout.
      look: the number of this look at it, from 1; None where the model was refused without one.
    """

    digest: Name
    num_notes: Count
    num_instruments: Count
    look: Count | None


@dataclass(frozen=True)
class ChampionRef:
    """The champion that a model was compared with.

    Attributes:
      number: of its entry in the registry.
    """

    number: Count
    run_id: Name
    model_sha256: Name


@dataclass(frozen=True)
class Promotion:
    """A decision on promotion.

    Attributes:
      outcome: for the model; a person may promote it against the rule.
      why: one sentence.
      by: who asked, `flow` or `hand`.
      reason: given by the person who asked.
      entry: the number of the model's entry in the registry; None where it has none.
      gate: the holdout; None where there was none.
      champion: None where there was none.
      figures: of `pipelines.evaluate.comparison`, champion first; without one, of the model alone.
      quality_drop: whether the model is surely worse than the champion.
      health: what is worse with the data than in the champion's run, one phrase each.
      is_news: whether the decision was made now, and not found.
    """

    model: Name
    run_id: Name
    model_sha256: Name
    outcome: Outcome
    why: str
    by: By
    reason: str
    margin: float
    entry: Count | None
    gate: HoldoutFigures | None
    champion: ChampionRef | None
    figures: Mapping[str, Any]
    quality_drop: bool
    health: tuple[str, ...]
    when: str = field(default_factory=now)
    is_news: bool = field(default=True, compare=False)

    @property
    def alarms(self) -> list[str]:
        """Return what needs attention, one sentence each; empty where all is well."""
        who = f"{self.model} of run {self.run_id}"
        worse = [f"{who} is worse than the champion: {self.why}"] if self.quality_drop else []
        return worse + [f"the data of {who} got worse: {phrase}" for phrase in self.health]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        content = asdict(self) | {"health": list(self.health)}
        del content["is_news"]
        return {"format_version": FORMAT_VERSION, **content}


def store_promotion(run_uri: str, promotion: Promotion) -> None:
    """Write the decision beside the model."""
    uri = storage.join(run_uri, promotion.model, PROMOTION)
    storage.put(uri, to_json(promotion.to_dict()))


def load_promotion(run_uri: str, model: str) -> Promotion | None:
    """Read the decision on a model of a run; None where none was made.

    Raises:
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    uri = storage.join(run_uri, model, PROMOTION)
    if not storage.exists(uri):
        return None
    mend = "remove it and promote the run again"
    stored = read_record(
        uri, Promotion, what="a decision on promotion", mend=mend, versions=(FORMAT_VERSION,)
    )
    if stored.model != model:
        raise DatasetError(f"{uri} is of {stored.model}, not of {model}; {mend}")
    return replace(stored, is_news=False)


def load_promotions(run_uri: str, models: Iterable[str]) -> list[Promotion]:
    """Read the decisions on models of a run, as far as any were made."""
    found = (load_promotion(run_uri, model) for model in models)
    return [promotion for promotion in found if promotion is not None]
