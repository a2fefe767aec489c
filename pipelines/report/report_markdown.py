"""A run's report as Markdown: the same story without pictures and sounds, to read and to diff."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pipelines.analysis.stored import load_features
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.evaluate.slices import Slice
from pipelines.report import comparison, formats, verdict
from pipelines.report.markdown import plain, table
from pipelines.report.results import ModelResults, RunResults, load_promotions
from pipelines.report.summary import models_table, notes_table
from pipelines.report.tables import family_rows, most_confused, parameter_rows
from pipelines.report.views import SHOWN_SLICES, score_views, shown_slices

REPORT_MARKDOWN: Final = "report.md"

_ACCURACIES: Final = (
    ("accuracy, kept notes", "kept", "accuracy"),
    ("accuracy, mean of instruments", "kept", "instrument_accuracy"),
    ("accuracy, seen instruments", "seen", "accuracy"),
    ("accuracy, unseen instruments", "unseen", "accuracy"),
    ("accuracy, all notes", "every", "accuracy"),
)
_CALIBRATION: Final = (
    ("macro F1", "macro_f1"),
    ("weighted F1", "weighted_f1"),
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
)
_COURSES: Final = ("loss", "accuracy", "val_loss", "val_accuracy")


def report_markdown(run: RunResults) -> str:
    """The page, the same for the same run."""
    parts = [
        f"# Run {plain(run.record.run_id)}: instrument families of NSynth notes",
        *_result(run),
        *_data(run),
        *_training(run),
        *_evaluation(run),
        *_features(load_features(run.uri)),
        *_provenance(run),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _result(run: RunResults) -> list[str]:
    promotions = [
        f"**{plain(name)}**, {of.outcome}: {plain(of.why)}"
        + (f" (look {of.gate.look} at the gate)." if of.gate and of.gate.look else ".")
        for name, of in load_promotions(run).items()
    ]
    rows = [(title, *_scored(run, of, figure)) for title, of, figure in _ACCURACIES]
    return [
        "## Result",
        f"**{plain(verdict.describe(run))}**",
        f"{verdict.PROTOCOLS[run.record.experiment.protocol]} {verdict.instruments(run)}",
        *(promotions or ["No model of this run was set against a champion."]),
        _numbers(("", *(model.name for model in run.models)), rows),
        "In brackets intervals of 95 %, which resample instruments and then their notes; below "
        f"{MIN_NOTES} notes or {MIN_INSTRUMENTS} instruments there is none.",
        models_table(run),
        comparison.describe(run),
    ]


def _data(run: RunResults) -> list[str]:
    datasets = run.record.datasets
    families = [(name, *map(formats.count, nums)) for name, nums in family_rows(datasets)]
    return [
        "## Data",
        notes_table(run),
        "Kept notes by family:",
        _numbers(("", *datasets), families),
        *(f"{plain(name)}: {plain(of.official)}" for name, of in datasets.items() if of.official),
    ]


def _training(run: RunResults) -> list[str]:
    parts = ["## Training"]
    for model in run.models:
        stored = ", ".join(
            f"epoch {of.stored_epoch}" for of in run.record.models[model.name].trainings
        )
        seconds = formats.duration(sum(model.history["seconds"]))
        parts.append(f"### {plain(model.name)}, trained")
        parts.append(f"{seconds} in training; {stored} stored.")
        courses = [name for name in _COURSES if name in model.history]
        rows = [
            (f"{epoch:g}", *(f"{value:.4f}" for value in values))
            for epoch, *values in zip(
                model.history["epoch"], *(model.history[name] for name in courses), strict=True
            )
        ]
        head = ("epoch", *(name.replace("val_", "validation ") for name in courses))
        parts.append(table(head, rows, num_left=0))
    return parts


def _evaluation(run: RunResults) -> list[str]:
    return ["## Evaluation", *(part for model in run.models for part in _model(run, model))]


def _model(run: RunResults, model: ModelResults) -> list[str]:
    choices = ("kept", "seen", "unseen")
    figures = [(title, *_scores_of(model, choices, figure)) for title, figure in _CALIBRATION]
    confused = [
        (true, predicted, formats.count(number), f"{100 * share:.0f} %")
        for true, predicted, number, share in most_confused(model.kept, run.families)
    ]
    parts = [
        f"### {plain(model.name)}, evaluated",
        _numbers(("", "kept notes", "seen instruments", "unseen instruments"), figures),
        "Most confused:",
        table(("true", "predicted", "notes", "of the family"), confused, num_left=2),
        "Parts of the kept notes:",
        _slices(shown_slices(run, model)),
    ]
    for title, of in score_views(model):
        rows = [
            (name, *(f"{value:.2f}" for value in values), formats.count(support))
            for name, (*values, support) in of.classification_report.items()
        ]
        parts.append(f"Classification report, {title}:")
        parts.append(_numbers(("", "precision", "recall", "f1", "notes"), rows))
    return parts


def _slices(found: Mapping[str, Sequence[Slice]]) -> str:
    rows = [
        (
            f"{SHOWN_SLICES[by]} {of.name}",
            formats.count(of.num_notes),
            formats.count(of.num_instruments),
            "too few" if of.accuracy is None else formats.score(of.accuracy),
            _interval((of.intervals or {}).get("accuracy")),
        )
        for by, slices in found.items()
        for of in slices
    ]
    return _numbers(("", "notes", "instruments", "accuracy", "95 % interval"), rows)


def _features(features: Mapping[str, Any] | None) -> list[str]:
    if features is None:
        return []
    rows = [
        (of["feature"], formats.score(of["accuracy"]), _interval(of["interval"]))
        for of in features["scores"]
    ]
    return [
        "## What predicts the family",
        "Accuracy of a random forest of each feature alone:",
        _numbers(("", "accuracy", "95 % interval"), rows),
    ]


def _provenance(run: RunResults) -> list[str]:
    record = run.record
    pairs = [
        ("created", record.created),
        ("backend", record.backend),
        ("device", record.device),
        ("training version", str(record.training_version)),
        *parameter_rows(record.experiment),
        *record.versions.items(),
    ]
    for name, of in record.datasets.items():
        pairs.append((f"{name}, manifest digest", of.manifest_digest))
        pairs.append((f"{name}, verdict digest", of.verdict_digest))
    return ["## Provenance", table(("", ""), pairs)]


def _scored(run: RunResults, of: str, figure: str) -> list[str]:
    return [text for model in run.models for text in _scores_of(model, (of,), figure)]


def _scores_of(model: ModelResults, choices: Iterable[str], figure: str) -> list[str]:
    """A figure and its interval, of each choice of notes."""
    found = []
    for of in choices:
        scores = getattr(model, of)
        ends = formats.interval(scores, figure)
        shown = formats.figure(scores, figure)
        found.append(shown if ends == formats.NOTHING else f"{shown} ({ends})")
    return found


def _interval(ends: Sequence[float] | None) -> str:
    return f"{formats.score(ends[0])} to {formats.score(ends[1])}" if ends else formats.NOTHING


def _numbers(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column alone is text."""
    return table(head, rows, num_left=1)
