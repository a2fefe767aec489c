"""The reference's findings about notes: length, features, batches and records of them."""

from collections.abc import Mapping
from typing import Any, Final

from pipelines.evaluate.bootstrap import Interval
from pipelines.notes import OFFICIAL_SPLITS
from pipelines.report.findings import rules
from pipelines.report.findings.claim import Claim, Effect
from pipelines.report.formats import NOTHING, change, count, plain, points, score, span
from pipelines.report.results import RunResults
from pipelines.validate.rules import HELD_OUT, LEAKED

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
