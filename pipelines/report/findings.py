"""The findings of the reference report, each judged by the figures of one run."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, get_args

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Difference
from pipelines.layout import REPORT_HTML, STUDY_PAGE
from pipelines.notes import OFFICIAL_SPLITS
from pipelines.promotion.verdict import num_defects
from pipelines.report import finding_rules as rules
from pipelines.report.finding_rules import Verdict
from pipelines.report.formats import NOTHING, change, count, factor, plain, points, score, span
from pipelines.report.published import REPORT, Place
from pipelines.report.results import ModelResults, RunResults
from pipelines.report.runs_comparison import relative_link
from pipelines.studies.results import StudyRecord
from pipelines.studies.store import Pair, pairs

Content = Mapping[str, Any]

_NOT_MEASURED: Final = "This run has no such figures; nsynth retrain measures them."


@dataclass(frozen=True)
class Effect:
    """A measured figure.

    Attributes:
      interval: of 95 %, in words; a dash where there is none.
    """

    name: str
    value: str
    interval: str = NOTHING


@dataclass(frozen=True)
class Claim:
    """A finding of the reference report, and the verdict of one run on it.

    Attributes:
      rule: how the verdict follows from the effects.
      rests_on: sections of the page that show these figures, and which of their parts.
      left_open: what the run does not decide, and what would; may be empty.
      study: name and link of the study that decided, if one did.
    """

    finding: str
    verdict: Verdict
    effects: Sequence[Effect]
    rule: str
    rests_on: Sequence[tuple[Place, str]]
    left_open: str = ""
    study: tuple[str, str] | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdict on one finding; texts that are empty are those of reference.toml.

    Attributes:
      study: name and link of the study that decided, if one did.
    """

    verdict: Verdict
    effects: Sequence[Effect]
    rests_on: Sequence[tuple[Place, str]] = ()
    left_open: str = ""
    study: tuple[str, str] | None = None


@dataclass(frozen=True)
class Evidence:
    """The figures of a run that findings are judged by.

    Attributes:
      features: the content of features.json, None where the run has none.
      cost: the content of cost.json, None where the run has none.
      studies: those on the same training data, with their folders, newest first.
    """

    run: RunResults
    features: Content | None = None
    cost: Content | None = None
    studies: Sequence[tuple[str, StudyRecord]] = ()

    @cached_property
    def gain(self) -> Difference | None:
        """Return the gain of the largest model over the smallest; None without a comparison."""
        if len(self.run.models) == 1:
            return None
        try:
            return self.run.gain
        except ConfigError:
            return None


def find_all(
    run: RunResults,
    features: Content | None = None,
    cost: Content | None = None,
    studies: Sequence[tuple[str, StudyRecord]] = (),
) -> list[Claim]:
    """Judge every finding, in the order of the reference report."""
    evidence = Evidence(run, features, cost, studies)
    claims = []
    for text in REPORT.findings:
        judgement = JUDGES[text.name](evidence)
        claims.append(
            Claim(
                finding=text.finding,
                verdict=judgement.verdict,
                effects=judgement.effects,
                rule=text.rule.format(*rules.IN_PROPORTION, 100 * rules.LITTLE),
                rests_on=judgement.rests_on or text.rests_on,
                left_open="" if judgement.study else judgement.left_open or text.left_open,
                study=judgement.study,
            )
        )
    return claims


def tally(claims: Iterable[Claim]) -> str:
    """Count the claims of each verdict, such as `2 confirmed, 1 contradicted, 5 undecided`."""
    numbers = Counter(claim.verdict for claim in claims)
    return ", ".join(f"{numbers[verdict]} {verdict}" for verdict in get_args(Verdict))


def judge_capacity(evidence: Evidence) -> Judgement:
    """Compare accuracy and training time of the smallest and the largest model.

    Steps of cost.json ran soon after each other; between epochs, which count otherwise, a machine
    may have got other work.
    """
    run, cost, gain = evidence.run, evidence.cost, evidence.gain
    small, large = run.models[0], run.models[-1]
    ends = gain.interval if gain else None
    is_timed = cost is not None and {small.name, large.name} <= cost["models"].keys()
    times = [
        _step_seconds(cost, model) if cost and is_timed else _note_seconds(run, model)
        for model in (small, large)
    ]
    longer = rules.times_longer(*times) if small is not large else None
    effects = []
    if gain:
        name = f"{large.name} minus {small.name}, accuracy"
        effects.append(Effect(name, change(gain.difference), points(ends)))
    if longer:
        # The interval is symmetric in logarithms.
        ratio = factor(math.sqrt(longer[0] * longer[1]))
        name = f"{large.name} to {small.name}, time per note"
        effects.append(Effect(name, ratio, span(longer, "{:.2f}")))
    place: tuple[Place, str] = (
        ("cost", "steps at full length") if is_timed else ("training", "seconds of the epochs")
    )
    return Judgement(
        rules.all_of([rules.is_positive(ends), rules.is_above(longer, (1, 1))]),
        effects,
        rests_on=(("result", "accuracy, in pairs"), place),
        left_open="" if small is not large else "This run has one model only; train both.",
    )


def judge_epochs(evidence: Evidence) -> Judgement:
    """Compare the validation accuracy of each model's last epoch with that of its first."""
    found = [(model, _rise(evidence, model)) for model in evidence.run.models]
    effects = []
    for model, ends in found:
        accuracy = model.history["val_accuracy"]
        best = max(range(len(accuracy)), key=accuracy.__getitem__) + 1
        words = f"{score(accuracy[0])} to {score(accuracy[-1])}, best in epoch {best}"
        name = f"{model.name}: {words} of {len(accuracy)}"
        effects.append(Effect(name, change(accuracy[-1] - accuracy[0]), points(ends)))
    return Judgement(rules.all_of(rules.is_positive(ends) for _, ends in found), effects)


def judge_pooling_and_dropout(evidence: Evidence) -> Judgement:
    """Compare trials with and without each part; without a study, show what decides nothing."""
    if judgement := _by_study(evidence, "pooling_and_dropout", _pooling_and_dropout):
        return judgement
    histories = {model.name: model.history for model in evidence.run.models}
    effects = [
        Effect(
            f"{name}, training minus validation",
            change(history["accuracy"][-1] - history["val_accuracy"][-1]),
        )
        for name, history in histories.items()
    ]
    return Judgement("undecided", effects)


def judge_dense_layer(evidence: Evidence) -> Judgement:
    """Compare trials with and without the layer; without a study, show what decides nothing."""
    if judgement := _by_study(evidence, "dense_layer", _dense_layer):
        return judgement
    effects = []
    for model in evidence.run.models:
        inside = sum(number for kind, _, number in model.layers[:-1] if kind == "Dense")
        share = f"{count(inside)} of {count(model.num_parameters)}"
        effects.append(Effect(f"{model.name}, parameters of such layers", share))
    return Judgement("undecided", effects)


def judge_length(evidence: Evidence) -> Judgement:
    """Compare the growth of training time with the samples of a note."""
    models = evidence.cost["models"] if evidence.cost else {}
    return Judgement(
        rules.all_of(
            rules.is_proportional(_interval(times["interval"])) for times in models.values()
        ),
        [
            Effect(
                f"{name}, exponent",
                f"{times['exponent']:.2f}",
                span(_interval(times["interval"]), "{:.2f}"),
            )
            for name, times in models.items()
        ],
        left_open="" if models else _NOT_MEASURED,
    )


def judge_audio(evidence: Evidence) -> Judgement:
    """Compare the largest model with all metadata, and what these add to a spectrum."""
    features, model = evidence.features, evidence.run.models[-1].name
    scores = {entry["feature"]: entry for entry in features["scores"]} if features else {}
    audio, metadata = scores.get(f"audio, {model}"), scores.get("metadata")
    gain = features.get("gain") if features else None
    effects = [
        Effect(name, score(entry["accuracy"]), span(_interval(entry["interval"]), "{:.4f}"))
        for name, entry in (
            (f"{model}, which hears the audio", audio),
            ("all metadata alone", metadata),
        )
        if entry
    ]
    if gain:
        ends = points(_interval(gain["interval"]))
        effects.append(Effect("metadata added to the spectrum", change(gain["difference"]), ends))
    is_ahead = rules.is_above(
        _interval(audio and audio["interval"]), _interval(metadata and metadata["interval"])
    )
    return Judgement(
        rules.all_of([is_ahead, rules.is_little(_interval(gain and gain["interval"]))]),
        effects,
        left_open="" if effects else _NOT_MEASURED,
    )


def judge_batch_size(evidence: Evidence) -> Judgement:
    """Compare the batch size of the experiment with those that ran."""
    record = evidence.run.record
    batch_size = record.experiment.batch_size
    ran = {
        name: sorted({training.batch_size for training in model.trainings})
        for name, model in record.models.items()
    }
    return Judgement(
        rules.was_reduced(batch_size, (size for sizes in ran.values() for size in sizes)),
        [
            Effect(f"{name}, ran of {batch_size} asked for", plain(sizes))
            for name, sizes in ran.items()
        ],
    )


def judge_invalid_records(evidence: Evidence) -> Judgement:
    """Count the records that the run could not use, and completed without."""
    datasets = evidence.run.record.datasets
    # In the protocol grouped one data set has two parts to play.
    distinct = {dataset.manifest_digest: dataset for dataset in datasets.values()}.values()
    unreadable = sum(dataset.num_quarantined for dataset in distinct)
    dropped = sum(num_defects(dataset) for dataset in distinct)
    official, train = OFFICIAL_SPLITS[0].num_notes, datasets["train"]
    is_whole = train.num_seen + train.num_quarantined == official
    return Judgement(
        rules.stops_training(unreadable),
        [
            Effect("unreadable records, set aside", count(unreadable)),
            Effect("defective notes, left out", count(dropped)),
        ],
        left_open=f"This run trained on all {count(official)} records of the train split."
        if is_whole
        else "",
    )


def _by_study(
    evidence: Evidence,
    finding: str,
    judge: Callable[[Sequence[Pair]], tuple[Verdict, list[Effect]]],
) -> Judgement | None:
    """Return the verdict of the newest study that tests a finding; None where none does."""
    own = pairs(evidence.studies, finding)
    if not own:
        return None
    verdict, effects = judge(own)
    page = storage.join(own[0].study_uri, STUDY_PAGE)
    report = storage.join(evidence.run.uri, REPORT_HTML)
    return Judgement(verdict, effects, study=(own[0].study.name, relative_link(report, page)))


def _dense_layer(own: Sequence[Pair]) -> tuple[Verdict, list[Effect]]:
    effects, verdicts = list[Effect](), list[Verdict]()
    for pair in own:
        gain, ends = pair.gain
        without, with_it = pair.without_and_with
        effects.append(Effect(f"{with_it.name} minus {without.name}", change(gain), points(ends)))
        ratio = with_it.epoch_seconds / without.epoch_seconds
        effects.append(Effect(f"{with_it.name} to {without.name}, time an epoch", factor(ratio)))
        verdicts += [rules.is_positive(ends), rules.is_at_most(ratio, rules.LITTLE_TIME)]
    return rules.all_of(verdicts), effects


def _pooling_and_dropout(own: Sequence[Pair]) -> tuple[Verdict, list[Effect]]:
    effects, verdicts = list[Effect](), list[Verdict]()
    for pair in own:
        without, with_it = pair.without_and_with
        if "dropout" in pair.trial.change:
            gap = without.gap - with_it.gap
            effects.append(Effect("dropout, training minus validation falls by", change(gap)))
            verdicts.append(rules.is_at_most(-gap, 0.0))
        else:
            ratio = with_it.epoch_seconds / without.epoch_seconds
            effects.append(Effect("max pooling, time an epoch", factor(ratio)))
            verdicts.append(rules.is_at_most(ratio, 1.0))
        gain, ends = pair.gain
        name = f"{with_it.name} minus {without.name}, accuracy"
        effects.append(Effect(name, change(gain), points(ends)))
    return rules.all_of(verdicts), effects


# By the name of a finding in reference.toml.
JUDGES: Final[Mapping[str, Callable[[Evidence], Judgement]]] = {
    "capacity": judge_capacity,
    "epochs": judge_epochs,
    "length": judge_length,
    "audio": judge_audio,
    "pooling_and_dropout": judge_pooling_and_dropout,
    "dense_layer": judge_dense_layer,
    "batch_size": judge_batch_size,
    "invalid_records": judge_invalid_records,
}


def _step_seconds(cost: Content, model: ModelResults) -> list[float]:
    """Return the seconds of each timed step on the longest notes, which are those that train."""
    return [steps[-1] for steps in cost["models"][model.name]["seconds"]]


def _note_seconds(run: RunResults, model: ModelResults) -> list[float]:
    """Return the training seconds per note of each epoch but the first."""
    num_notes = sum(training.num_train for training in run.record.models[model.name].trainings)
    epochs = model.history["seconds"][1:]
    return [seconds / num_notes for seconds in epochs if seconds > 0] if num_notes else []


def _rise(evidence: Evidence, model: ModelResults) -> Interval | None:
    """Return the interval of validation accuracy, last epoch minus first; None of too few notes."""
    accuracy, widening = model.history["val_accuracy"], _widening(evidence, model)
    trainings = evidence.run.record.models[model.name].trainings
    num_notes = sum(training.num_validation for training in trainings)
    if len(accuracy) < 2 or widening is None or not num_notes:
        return None
    return rules.rise(accuracy[0], accuracy[-1], num_notes=num_notes, widening=widening)


def _widening(evidence: Evidence, model: ModelResults) -> float | None:
    """Return how much resampling of instruments widens an interval.

    It is that of a difference where there is one, since instruments weigh less on it than on a
    score.
    """
    num_notes, gain = model.kept.num_scored, evidence.gain
    if gain and gain.interval:
        error = rules.standard_error(gain.first, gain.second, num_notes=num_notes)
        return rules.widening(gain.interval, error=error)
    ends = model.kept.intervals.get("accuracy")
    error = rules.standard_error(model.kept.accuracy, num_notes=num_notes)
    return rules.widening(ends, error=error) if ends else None


def _interval(ends: Any) -> Interval | None:
    return (float(ends[0]), float(ends[1])) if ends else None
