"""The sentences at the top of a report: which model is better, and on which notes."""

from collections.abc import Mapping
from typing import Final

from pipelines.errors import ConfigError
from pipelines.report import formats
from pipelines.report.results import ModelResults, RunResults

PROTOCOLS: Final[Mapping[str, str]] = {
    "reference": "Protocol reference: trained and validated on parts of one data set, split by "
    "note; the last epoch is scored.",
    "official": "Protocol official: the epoch of lowest loss on the validation data is scored.",
    "grouped": "Protocol grouped: each note is scored by a model that has met none of its "
    "instrument, and the folds are pooled.",
}


def describe(run: RunResults) -> str:
    """Which of the smallest and the largest model is better, by how much, and how sure."""
    if len(run.models) == 1:
        (model,) = run.models
        return f"{_scored(model)}. There is no other model to compare with."
    first, second = run.models[0], run.models[-1]
    scores = f"{_scored(second)}, {_scored(first)}"
    try:
        accuracy = run.gain
    except ConfigError as err:
        return f"{scores}. They cannot be compared: {err}."
    points = f"{100 * accuracy.difference:+.1f} points"
    if accuracy.interval is None:
        return f"{scores}: {points}, with too few notes or too little spread for an interval."
    low, high = accuracy.interval
    between = f"{points} (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    if low > 0:
        return f"{second.name} is surely better than {first.name}: {scores}; {between}."
    if high < 0:
        return f"{second.name} is surely worse than {first.name}: {scores}; {between}."
    return f"Neither model is surely better: {scores}; {between}."


def describe_protocol(run: RunResults) -> str:
    """Say how a run trained, and whether its scored notes are of instruments trained on."""
    return f"{PROTOCOLS[run.record.experiment.protocol]} {instruments(run)}"


def instruments(run: RunResults) -> str:
    """Whether the scored notes are of instruments that were trained on."""
    model = run.models[0]
    seen = model.seen.num_scored if model.seen else 0
    unseen = model.unseen.num_scored if model.unseen else 0
    if not unseen:
        return "All scored notes are of instruments that were trained on: a seen-instrument score."
    if not seen:
        return "No scored note is of an instrument that was trained on: an unseen-instrument score."
    return (
        f"{formats.count(seen)} scored notes are of instruments that were trained on, "
        f"{formats.count(unseen)} of others."
    )


def _scored(model: ModelResults) -> str:
    return f"{model.name} {formats.score(model.kept.accuracy)}"
