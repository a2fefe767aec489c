"""The sentences at the top of a report: which model is better, and on which notes."""

from collections.abc import Mapping
from typing import Final

from pipelines.errors import ConfigError
from pipelines.report.formats import change, count, plural, points, score
from pipelines.report.results import ModelResults, RunResults

PROTOCOLS: Final[Mapping[str, str]] = {
    "reference": "Protocol reference: trained and validated on parts of one data set, split by "
    "note; the last epoch is scored.",
    "official": "Protocol official: the epoch of lowest loss on the validation data is scored.",
    "grouped": "Protocol grouped: each note is scored by a model that trained on no note "
    "of its instrument, and the folds are pooled.",
    "validation": "Protocol validation: trained on a part of one data set and scored on the rest "
    "of it, split by note; the last epoch is scored. Test notes were not used.",
}


def describe(run: RunResults) -> str:
    """Say which of the smallest and the largest model is better, by how much, and how sure."""
    if len(run.models) == 1:
        (model,) = run.models
        return f"{_accuracy(model)}. There is no other model to compare with."
    first, second = run.models[0], run.models[-1]
    scores = f"{_accuracy(second)}, {_accuracy(first)}"
    try:
        gain = run.gain
    except ConfigError as err:
        return f"{scores}. They cannot be compared: {err}."
    difference = change(gain.difference)
    if gain.interval is None:
        return f"{scores}: {difference}, with too few notes or too little spread for an interval."
    sentence = f"{scores}; {difference} (95 % interval {points(gain.interval)})."
    if gain.interval[0] > 0:
        return f"{second.name} is surely better than {first.name}: {sentence}"
    if gain.interval[1] < 0:
        return f"{second.name} is surely worse than {first.name}: {sentence}"
    return f"Neither model is surely better: {sentence}"


def describe_protocol(run: RunResults) -> str:
    """Say how a run trained, and whether its scored notes are of instruments trained on."""
    return f"{PROTOCOLS[run.record.experiment.protocol]} {describe_instruments(run)}"


def describe_instruments(run: RunResults) -> str:
    """Say whether the scored notes are of instruments that were trained on."""
    model = run.models[0]
    seen = model.seen.num_scored if model.seen else 0
    unseen = model.unseen.num_scored if model.unseen else 0
    if not unseen:
        return "All scored notes are of instruments that were trained on: a seen-instrument score."
    if not seen:
        return "No scored note is of an instrument that was trained on: an unseen-instrument score."
    verb = "is of an instrument that was" if seen == 1 else "are of instruments that were"
    return f"{plural(seen, 'scored note')} {verb} trained on, {count(unseen)} of others."


def _accuracy(model: ModelResults) -> str:
    return f"{model.name} {score(model.kept.accuracy)}"
