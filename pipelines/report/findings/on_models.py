"""The reference's findings about architectures and epochs, against one run."""

import math
from collections.abc import Mapping
from typing import Any, Final

from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Difference
from pipelines.report.findings import rules
from pipelines.report.findings.claim import Claim, Effect, Place
from pipelines.report.formats import NOTHING, change, count, factor, points, score, span
from pipelines.report.results import ModelResults, RunResults

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
