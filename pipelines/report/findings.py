"""The findings of the reference report, each compared with one run."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Difference
from pipelines.notes import OFFICIAL_SPLITS
from pipelines.report import finding_rules as rules
from pipelines.report.finding_rules import Verdict
from pipelines.report.formats import NOTHING, change, count, factor, plain, points, score, span
from pipelines.report.results import ModelResults, RunResults
from pipelines.validate.rules import HELD_OUT, LEAKED

Place = Literal[
    "result",
    "data",
    "note",
    "architectures",
    "training",
    "evaluation",
    "features",
    "cost",
    "notes",
    "provenance",
]
"""A section of the page or a part of one, by its id."""


@dataclass(frozen=True)
class Effect:
    """A measured figure.

    Attributes:
      interval: of 95 %, in words; a dash where there is none.
    """

    name: str
    value: str
    interval: str


@dataclass(frozen=True)
class Claim:
    """A finding of the reference report, and what one run says of it.

    Attributes:
      finding: in this project's words.
      rule: how the verdict follows from the effects.
      rests_on: sections of the page that show what it was decided by, and what of each.
      left_open: what the run cannot build_report_data, and what would; may be empty.
    """

    finding: str
    verdict: Verdict
    effects: Sequence[Effect]
    rule: str
    rests_on: Sequence[tuple[Place, str]]
    left_open: str = ""


_SEVERAL_AT_ONCE: Final = (
    "The two models differ in several layers at once, so that no difference is of one of them."
)


def difference(run: RunResults) -> Difference | None:
    """Accuracy of the largest model beside the smallest one's; None where they do not compare."""
    first, last = run.models[0], run.models[-1]
    if first is last:
        return None
    try:
        return run.gain
    except ConfigError:
        return None


def capacity(run: RunResults, accuracy: Difference | None, cost: Mapping[str, Any] | None) -> Claim:
    """Of the smallest and the largest model.

    Args:
      accuracy: of `difference`.
      cost: the content of cost.json, whose steps ran soon after each other; else epochs count,
        between which a machine may have got other work.
    """
    small, large = run.models[0], run.models[-1]
    ends = accuracy.interval if accuracy else None
    timed = {small.name, large.name} <= cost["models"].keys() if cost else False
    times = [
        step_seconds(cost, model) if cost and timed else seconds_a_note(run, model)
        for model in (small, large)
    ]
    longer = rules.times_longer(*times) if small is not large else None
    effects = list[Effect]()
    if accuracy:
        name = f"{large.name} minus {small.name}, accuracy"
        effects.append(Effect(name, change(accuracy.difference), points(ends)))
    if longer:
        # The interval is symmetric in logarithms.
        ratio = factor(math.sqrt(longer[0] * longer[1]))
        name = f"{large.name} to {small.name}, time a note"
        effects.append(Effect(name, ratio, span(longer, "{:.2f}")))
    times_place: tuple[Place, str] = (
        ("cost", "steps at full length") if timed else ("training", "seconds of the epochs")
    )
    return Claim(
        finding="Deeper and wider is more accurate, and slower to train.",
        verdict=rules.all_of([rules.is_positive(ends), rules.is_above(longer, (1, 1))]),
        effects=effects,
        rule="Confirmed where the larger model surely gains accuracy on the kept test notes, and "
        "surely takes longer to train on a note; contradicted where either is surely the reverse. "
        "Times are of steps at full length where those were measured, else of epochs but the "
        "first, which also compiles; their interval is over these repeats.",
        rests_on=(("result", "accuracy, in pairs"), times_place),
        left_open="It is about these two models as wholes, not about depth or width alone."
        if small is not large
        else "This run has one model only; train both.",
    )


def epochs(run: RunResults, accuracy: Difference | None) -> Claim:
    """Of each model's course of validation accuracy.

    Args:
      accuracy: of `difference`.
    """
    found = [(model, _rise(run, model, accuracy)) for model in run.models]
    return Claim(
        finding="More epochs make a model more accurate, until it has converged.",
        verdict=rules.all_of(rules.is_positive(ends) for _, ends in found),
        effects=[_course(model, ends) for model, ends in found],
        rule="Confirmed where validation accuracy surely rose from the first epoch to the last in "
        "each model; contradicted where it surely fell in one. The history keeps no single answer, "
        "so the interval takes the two epochs for independent samples, and is widened as much as "
        "resampling of instruments widens one of the test notes.",
        rests_on=(("training", "validation accuracy by epoch"),),
        left_open="Whether it has converged takes more epochs to see.",
    )


def pooling_and_dropout(run: RunResults) -> Claim:
    """Of how far training accuracy runs ahead of validation accuracy, which decides nothing."""
    return Claim(
        finding="Max pooling makes up for the third convolution's training time, and dropout holds "
        "overfitting down.",
        verdict="undecided",
        effects=[
            Effect(f"{m.name}, training minus validation", _gap(m), NOTHING) for m in run.models
        ],
        rule="Undecided by any run of these two models. " + _SEVERAL_AT_ONCE,
        rests_on=(("training", "the last epoch"), ("architectures", "layers")),
        left_open="The optimised model without pooling, and again without dropout, on the same "
        "notes and seeds, would decide it.",
    )


def dense_layer(run: RunResults) -> Claim:
    """Of what a dense layer before the output holds, which decides nothing."""
    found = [(model, _hidden_dense(model)) for model in run.models]
    return Claim(
        finding="A dense layer ahead of the output raises accuracy and costs little time.",
        verdict="undecided",
        effects=[
            Effect(
                f"{model.name}, parameters of such layers",
                f"{count(inside)} of {count(model.num_parameters)}",
                NOTHING,
            )
            for model, inside in found
        ],
        rule="Undecided by any run of these two models. " + _SEVERAL_AT_ONCE,
        rests_on=(("architectures", "layers"),),
        left_open="The optimised model without its dense layer of 24, on the same notes and seeds, "
        "would decide it.",
    )


def step_seconds(cost: Mapping[str, Any], model: ModelResults) -> list[float]:
    """Of each timed step on the longest notes, which are those that train."""
    return [steps[-1] for steps in cost["models"][model.name]["seconds"]]


def seconds_a_note(run: RunResults, model: ModelResults) -> list[float]:
    """Training time of each epoch but the first; none where the run does not tell."""
    num_notes = sum(of.num_train for of in run.record.models[model.name].trainings)
    seconds = model.history["seconds"][1:]
    return [of / num_notes for of in seconds if of > 0] if num_notes else []


def _rise(run: RunResults, model: ModelResults, accuracy: Difference | None) -> Interval | None:
    """Validation accuracy, last epoch minus first; None where too little is there to claim it."""
    course, wider = model.history["val_accuracy"], _widening(model, accuracy)
    num_notes = sum(of.num_validation for of in run.record.models[model.name].trainings)
    if len(course) < 2 or wider is None or not num_notes:
        return None
    return rules.rise(course[0], course[-1], num_notes=num_notes, widening=wider)


def _widening(model: ModelResults, accuracy: Difference | None) -> float | None:
    """Of a difference where there is one, since instruments weigh less on it than on a score."""
    num_notes = model.kept.num_scored
    if accuracy and accuracy.interval:
        error = rules.standard_error(accuracy.first, accuracy.second, num_notes=num_notes)
        return rules.widening(accuracy.interval, error=error)
    ends = model.kept.intervals.get("accuracy")
    error = rules.standard_error(model.kept.accuracy, num_notes=num_notes)
    return rules.widening(ends, error=error) if ends else None


def _course(model: ModelResults, ends: Interval | None) -> Effect:
    course = model.history["val_accuracy"]
    best = max(range(len(course)), key=course.__getitem__)
    words = f"{score(course[0])} to {score(course[-1])}, best in epoch {best + 1} of {len(course)}"
    return Effect(f"{model.name}: {words}", change(course[-1] - course[0]), points(ends))


def _gap(model: ModelResults) -> str:
    return change(model.history["accuracy"][-1] - model.history["val_accuracy"][-1])


def _hidden_dense(model: ModelResults) -> int:
    """Parameters of dense layers that others follow."""
    return sum(number for kind, _, number in model.layers[:-1] if kind == "Dense")


Content = Mapping[str, Any]

_NOT_DEFECTIVE: Final = ("synth_lead", LEAKED, HELD_OUT)
"""Reasons that leave out notes with which nothing is wrong."""

_NOT_MEASURED: Final = "This run has no such figures; nsynth retrain measures them."


def length(cost: Content | None) -> Claim:
    """Of the times that cost.json holds."""
    models = cost["models"] if cost else {}
    return Claim(
        finding="Training time is in proportion to the samples that a note keeps.",
        verdict=rules.all_of(
            rules.is_proportional(_ends(of["interval"])) for of in models.values()
        ),
        effects=[
            Effect(
                f"{name}, exponent", f"{of['exponent']:.2f}", span(_ends(of["interval"]), "{:.2f}")
            )
            for name, of in models.items()
        ],
        rule="Seconds of a training step are fitted as a power of the samples; 1 is proportion. "
        "Confirmed where each model's interval lies within {} to {}, so that eight times the "
        "samples take eight times as long to within a quarter; contradicted where one lies wholly "
        "outside. The interval is of repeats on one machine, one after the other.".format(
            *rules.IN_PROPORTION
        ),
        rests_on=(("cost", "what a longer note costs"),),
        left_open="Another machine, or this one with other work, may say something else."
        if models
        else _NOT_MEASURED,
    )


def audio(run: RunResults, features: Content | None) -> Claim:
    """Of what features.json holds: the largest model, all metadata, and what they gain."""
    model = run.models[-1].name
    scores = {of["feature"]: of for of in features["scores"]} if features else {}
    heard, told = (scores.get(name) for name in (f"audio, {model}", "metadata"))
    gain = features.get("gain") if features else None
    verdict = rules.all_of(
        [
            rules.is_above(*(_ends(of and of["interval"]) for of in (heard, told))),
            rules.is_little(_ends(gain and gain["interval"])),
        ]
    )
    effects = [
        Effect(name, score(of["accuracy"]), span(_ends(of["interval"]), "{:.4f}"))
        for name, of in ((f"{model}, which hears the audio", heard), ("all metadata alone", told))
        if of
    ]
    if gain:
        ends = points(_ends(gain["interval"]))
        effects.append(Effect("metadata beside the spectrum", change(gain["difference"]), ends))
    return Claim(
        finding="The audio tells the family, and a note's other features add little to it.",
        verdict=verdict,
        effects=effects,
        rule="Confirmed where the interval of the largest model lies above that of all metadata, "
        f"and metadata surely add less than {100 * rules.LITTLE:.0f} points to a classifier of "
        "the spectrum; contradicted where one of the two is surely the reverse.",
        rests_on=(("features", "accuracy by feature"),),
        left_open="What metadata add to the model itself takes a model that has both."
        if effects
        else _NOT_MEASURED,
    )


def batch_size(run: RunResults) -> Claim:
    """Of the batch size that was asked for and those that ran."""
    asked = run.record.experiment.batch_size
    ran = {
        name: [of.batch_size for of in model.trainings] for name, model in run.record.models.items()
    }
    return Claim(
        finding="A batch size that the host had cut without saying so gave a false accuracy.",
        verdict=rules.was_reduced(asked, (size for sizes in ran.values() for size in sizes)),
        effects=[
            Effect(f"{name}, ran of {asked} asked for", plain(sorted(set(sizes))), NOTHING)
            for name, sizes in ran.items()
        ],
        rule="Confirmed where a training ran with smaller batches than it was asked to. Where each "
        "ran with the size asked for, the cause was not there, and its effect cannot be seen.",
        rests_on=(("training", "batches"), ("provenance", "experiment")),
        left_open="Here it does not pass unnoticed: too little memory fails a run, whose steps are "
        "counted.",
    )


def invalid_records(run: RunResults) -> Claim:
    """Of records that the run could not use, and came to its end without."""
    sides = run.record.datasets.values()
    sides = {side.manifest_digest: side for side in sides}.values()
    unreadable = sum(side.num_quarantined for side in sides)
    dropped = sum(
        num for side in sides for why, num in side.dropped.items() if why not in _NOT_DEFECTIVE
    )
    official = OFFICIAL_SPLITS[0].num_notes
    train = run.record.datasets["train"]
    is_whole = train.num_seen + train.num_quarantined == official
    return Claim(
        finding="One invalid record stopped training, and the 70 GB of the "
        "train split did not fit on the disk.",
        verdict=rules.stops_training(unreadable),
        effects=[
            Effect("unreadable records, set aside", count(unreadable), NOTHING),
            Effect("defective notes, left out", count(dropped), NOTHING),
        ],
        rule="Contradicted where the data held unreadable records and the run came to its end "
        "without them; undecided where they held none. A run that was stopped has no page.",
        rests_on=(("data", "counts"),),
        left_open=f"This run trained on all {count(official)} records of the train split."
        if is_whole
        else "Of the disk it says nothing: its notes are not the whole train split.",
    )


def _ends(found: Any) -> Interval | None:
    return (float(found[0]), float(found[1])) if found else None


def find_all(
    run: RunResults, features: Mapping[str, Any] | None, cost: Mapping[str, Any] | None
) -> list[Claim]:
    """Every finding, in the reference's order.

    Args:
      features: the content of features.json, None where the run has none.
      cost: that of cost.json, likewise.
    """
    accuracy = difference(run)
    return [
        capacity(run, accuracy, cost),
        epochs(run, accuracy),
        length(cost),
        audio(run, features),
        pooling_and_dropout(run),
        dense_layer(run),
        batch_size(run),
        invalid_records(run),
    ]


def tally(found: Sequence[Claim]) -> str:
    """How many claims came to each verdict, such as `2 confirmed, 1 contradicted, 5 undecided`."""
    numbers = Counter(of.verdict for of in found)
    return ", ".join(f"{numbers[verdict]} {verdict}" for verdict in get_args(Verdict))
