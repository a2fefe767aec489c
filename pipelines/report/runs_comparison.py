"""The page that compares several runs, or the models of one run.

It is one HTML file that needs no network, no script and no other file.
"""

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.evaluate.comparison import Comparison, Difference, Part, RunPair
from pipelines.experiment import Experiment
from pipelines.layout import REPORT_HTML
from pipelines.registry.runs import RunRecord, load_run
from pipelines.report import formats
from pipelines.report.drawing.palette import RUN_COLOURS, RUN_COLOURS_IN_THE_DARK
from pipelines.report.drawing.run_charts import (
    LearningCurve,
    draw_differences,
    draw_key,
    draw_learning_curves,
)
from pipelines.report.runs_index import CURVE_TITLES, BriefModel, load_brief
from pipelines.report.templates import html_template

_FIGURE_TITLES: Final = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
}

# Parameters that have a column of their own.
_OWN_COLUMNS: Final = ("protocol", "seed")


@dataclass(frozen=True)
class RunView:
    """A run as the page shows it.

    Attributes:
      number: on the page, from 1.
      label: number, run_id, and all in which it differs from another run of the page.
      varied: the parameters that differ and have no column of their own, in text.
      num_trained: notes that trained it, in text; one number for each fold.
      tested: notes that it was tested on, and which, in text.
      link: of its report, from the page; empty where there is none.
    """

    number: int
    run_id: str
    label: str
    created: str
    protocol: str
    seed: int
    varied: str
    num_trained: str
    tested: str
    models: Mapping[str, BriefModel]
    link: str


@dataclass(frozen=True)
class Contrast:
    """A run or a model compared with the first of its kind.

    Attributes:
      number: of its run on the page; None for the models of one run.
      name: the run_id, or the model.
    """

    number: int | None
    name: str
    comparison: Comparison

    @property
    def title(self) -> str:
        """Return the name, after the number if it has one."""
        return f"{self.number}: {self.name}" if self.number else self.name

    @property
    def accuracy(self) -> Difference:
        """Return the difference in accuracy on all notes."""
        return self.comparison.every.figures["accuracy"]


def write_comparison(
    page_uri: str,
    run_uris: Sequence[str],
    pairs: Sequence[RunPair],
    models: Mapping[str, Comparison],
) -> str:
    """Write the page, the same for the same runs.

    Args:
      run_uris: at least one.
      pairs: of `compare_with_first`; empty for one run.
      models: of `compare_models`, for one run; else empty.

    Returns:
      The page's URI.

    Raises:
      DatasetError: what a run stored is damaged, or of a format that this version does not read.
    """
    uri = storage.absolute(page_uri)
    views = load_views(run_uris, uri)
    found = contrast_runs(pairs, views) if pairs else contrast_models(models, views)
    notes = [
        f"run {number} ({pair.second}): {pair.note}"
        for number, pair in enumerate(pairs, start=2)
        if pair.note
    ]
    storage.put(uri, render_comparison(views, found, notes).encode())
    return uri


def render_comparison(
    views: Sequence[RunView],
    contrasts: Mapping[str, Sequence[Contrast]],
    notes: Sequence[str] = (),
) -> str:
    """Return the page, the same for the same values.

    Args:
      contrasts: by heading.
      notes: why something was not subtracted, one sentence each.
    """
    models = model_names(views)
    curves = {
        name: {column: learning_curves(views, name, column) for column in CURVE_TITLES}
        for name in models
    }
    return _TEMPLATE(views=views, models=models, curves=curves, contrasts=contrasts, notes=notes)


def load_views(run_uris: Sequence[str], page_uri: str) -> list[RunView]:
    """Read the runs from their small files, in the order given.

    Raises:
      ConfigError: one of them is not a complete run.
      DatasetError: what it stored is damaged, or of a format that this version does not read.
    """
    records = [load_run(uri) for uri in run_uris]
    names = varied_parameters([record.experiment for record in records])
    return [
        _view(number, record, uri, page_uri=page_uri, names=names)
        for number, (record, uri) in enumerate(zip(records, run_uris, strict=True), start=1)
    ]


def varied_parameters(experiments: Sequence[Experiment]) -> list[str]:
    """List the parameters in which experiments differ, but for their models."""
    first, *others = [_flat(experiment) for experiment in experiments]
    differ = (name for name in first if any(other[name] != first[name] for other in others))
    return [name for name in differ if name != "models"]


def _flat(experiment: Experiment) -> dict[str, Any]:
    """Return the parameters that fit in a cell; of architectures, their digests."""
    digests = {one.name: one.digest[:8] for one in experiment.architectures}
    return experiment.to_dict() | {"architectures": digests}


def model_names(views: Sequence[RunView]) -> list[str]:
    """List the models that any of the runs has, by first appearance."""
    return list(dict.fromkeys(name for view in views for name in view.models))


def learning_curves(views: Sequence[RunView], model: str, column: str) -> list[LearningCurve]:
    """Return one quantity of a model in each run that stores it."""
    return [
        LearningCurve(view.number, view.label, history["epoch"], history[column])
        for view in views
        if model in view.models
        if {"epoch", column} <= (history := view.models[model].history).keys()
    ]


def contrast_runs(pairs: Sequence[RunPair], views: Sequence[RunView]) -> dict[str, list[Contrast]]:
    """Return each later run minus the first, by model."""
    found: dict[str, list[Contrast]] = {}
    for model in model_names(views):
        for pair, view in zip(pairs, views[1:], strict=True):
            if model in pair.comparisons:
                contrast = Contrast(view.number, view.run_id, pair.comparisons[model])
                found.setdefault(model, []).append(contrast)
    return found


def contrast_models(
    comparisons: Mapping[str, Comparison], views: Sequence[RunView]
) -> dict[str, list[Contrast]]:
    """Return the models of the only run minus its smallest.

    Args:
      comparisons: of `compare_models`.
    """
    smallest, *others = model_names(views)
    pairs = zip(others, comparisons.values(), strict=True)
    return {f"minus {smallest}": [Contrast(None, name, comparison) for name, comparison in pairs]}


def family_parts(contrasts: Sequence[Contrast]) -> dict[str, list[Part]]:
    """Return the notes of each family in the contrasts that have any."""
    found: dict[str, list[Part]] = {}
    for contrast in contrasts:
        for name, part in contrast.comparison.families.items():
            found.setdefault(name, []).append(part)
    return found


def describe(contrasts: Sequence[Contrast]) -> str:
    """Say how many are surely better, surely worse, and neither."""
    ends = [contrast.accuracy.interval for contrast in contrasts]
    better = sum(interval is not None and interval[0] > 0 for interval in ends)
    worse = sum(interval is not None and interval[1] < 0 for interval in ends)
    if len(contrasts) == 1:
        words = {(1, 0): "is surely better", (0, 1): "is surely worse"}
        return f"It {words.get((better, worse), 'is not surely better or worse')}."
    return (
        f"Of {len(contrasts)}, surely better: {better}; surely worse: {worse}; "
        f"neither: {len(contrasts) - better - worse}."
    )


def points(number: float) -> str:
    """Format a difference in points, with its sign."""
    words = f"{100 * number:+.1f}"
    return "0.0" if words in {"+0.0", "-0.0"} else words


def is_sure(difference: Difference) -> bool:
    """Return whether the interval does not contain 0."""
    ends = difference.interval
    return ends is not None and (ends[0] > 0 or ends[1] < 0)


def relative_link(page_uri: str, target_uri: str) -> str:
    """Return the target as a link of the page; empty where the two are in different stores."""
    page, target = storage.local_path(page_uri), storage.local_path(target_uri)
    if page is not None and target is not None:
        return os.path.relpath(target, page.parent).replace(os.sep, "/")
    if _store(page_uri) != _store(target_uri):
        return ""
    return posixpath.relpath(target_uri, storage.parent(page_uri))


def _store(uri: str) -> str:
    """Return the protocol and bucket of a URI; nothing for a path of this machine."""
    protocol, mark, rest = uri.partition("://")
    return protocol + mark + rest.partition("/")[0] if mark else ""


def _view(
    number: int, record: RunRecord, uri: str, *, page_uri: str, names: Sequence[str]
) -> RunView:
    experiment = _flat(record.experiment)
    varied = {name: f"{name} {formats.plain(experiment[name])}" for name in names}
    test, report = record.datasets["test"], storage.join(uri, REPORT_HTML)
    by_size = sorted(record.models, key=lambda name: (record.models[name].num_parameters, name))
    return RunView(
        number=number,
        run_id=record.run_id,
        label=f"{number}: {', '.join([record.run_id, *varied.values()])}",
        created=record.created,
        protocol=record.experiment.protocol,
        seed=record.experiment.seed,
        varied=", ".join(words for name, words in varied.items() if name not in _OWN_COLUMNS),
        num_trained=", ".join(formats.count(part.num_train) for part in record.trainings),
        tested=f"{formats.count(test.num_kept)} of {test.manifest_digest[:8]}",
        models={name: load_brief(uri, name) for name in by_size},
        link=relative_link(page_uri, report) if storage.exists(report) else "",
    )


_TEMPLATE: Final = html_template(
    "compare.html.j2",
    {
        "colours": list(zip(RUN_COLOURS, RUN_COLOURS_IN_THE_DARK, strict=True)),
        "describe": describe,
        "draw_curves": draw_learning_curves,
        "draw_differences": lambda contrasts: draw_differences(
            [(contrast.title, contrast.accuracy) for contrast in contrasts]
        ),
        "family_parts": family_parts,
        "figure_titles": _FIGURE_TITLES,
        "formats": formats,
        "is_sure": is_sure,
        "key": draw_key,
        "points": points,
        "titles": CURVE_TITLES,
    },
)
