"""The page that compares several runs, or the models of one run."""

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from pipelines import storage
from pipelines.evaluate.comparison import Comparison, Difference, Part, RunPair
from pipelines.experiment import Experiment
from pipelines.registry.runs import RunRecord, load_run
from pipelines.report import formats
from pipelines.report.drawing.differences import draw_differences, reach_of
from pipelines.report.drawing.learning_curves import Course, draw_courses, draw_key, top_of
from pipelines.report.drawing.palette import RUN_COLOURS, RUN_COLOURS_IN_THE_DARK, RUN_DASHES
from pipelines.report.runs_index import COURSES, BriefModel, load_brief
from pipelines.report.templates import template

_OWN_COLUMNS: Final = ("protocol", "seed")


@dataclass(frozen=True)
class RunView:
    """A run as the page shows it.

    Attributes:
      number: on the page, from 1.
      label: number, run_id, and all in which it differs from another run of the page.
      apart: the parameters among these that have no column of their own, in text.
      trained: notes that trained it, in text; a number a fold.
      tested: notes that it was tested on, and which, in text.
      link: of its report, from the page; empty where there is none.
    """

    number: int
    run_id: str
    label: str
    created: str
    protocol: str
    seed: int
    apart: str
    trained: str
    tested: str
    models: Mapping[str, BriefModel]
    link: str


@dataclass(frozen=True)
class Contrast:
    """Something set against the first of its kind.

    Attributes:
      number: of its run on the page; None of the models of one run.
      name: the run_id, or the model.
    """

    number: int | None
    name: str
    comparison: Comparison

    @property
    def title(self) -> str:
        """The name, behind the number if it has one."""
        return f"{self.number}: {self.name}" if self.number else self.name


def load_views(run_uris: Sequence[str], page_uri: str) -> list[RunView]:
    """The runs by their small files, in the order given.

    Raises:
      ConfigError: one of them is no complete run.
      DatasetError: what it stored is damaged, or of a format that this version does not read.
    """
    records = [load_run(uri) for uri in run_uris]
    names = differing([record.experiment for record in records])
    return [
        _view(number, record, uri, page_uri=page_uri, names=names)
        for number, (record, uri) in enumerate(zip(records, run_uris, strict=True), start=1)
    ]


def differing(experiments: Sequence[Experiment]) -> list[str]:
    """The parameters in which experiments differ; their models are seen anyway."""
    found = [experiment.to_dict() for experiment in experiments]
    differ = (name for name in found[0] if any(of[name] != found[0][name] for of in found))
    return [name for name in differ if name != "models"]


def model_names(views: Sequence[RunView]) -> list[str]:
    """The models that any of the runs has, by first appearance."""
    return list(dict.fromkeys(name for view in views for name in view.models))


def courses(views: Sequence[RunView], model: str, quantity: str) -> list[Course]:
    """One quantity of a model in each run that keeps it."""
    return [
        Course(view.number, view.label, history["epoch"], history[quantity])
        for view in views
        if model in view.models
        if {"epoch", quantity} <= (history := view.models[model].history).keys()
    ]


def contrasts(pairs: Sequence[RunPair], views: Sequence[RunView]) -> dict[str, list[Contrast]]:
    """What each later run has to be set against the first, by model."""
    later = list(zip(pairs, views[1:], strict=True))
    return {
        model: [
            Contrast(view.number, view.run_id, pair.comparisons[model])
            for pair, view in later
            if model in pair.comparisons
        ]
        for model in model_names(views)
        if any(model in pair.comparisons for pair in pairs)
    }


def within(found: Mapping[str, Comparison], views: Sequence[RunView]) -> dict[str, list[Contrast]]:
    """The models of the only run set against its smallest.

    Args:
      found: of `pipelines.evaluate.comparison.compare_models`.
    """
    smallest, *others = model_names(views)
    compared = zip(others, found.values(), strict=True)
    return {
        f"minus {smallest}": [Contrast(None, name, comparison) for name, comparison in compared]
    }


def family_sizes(of: Sequence[Contrast]) -> dict[str, list[Part]]:
    """The notes of each family in the contrasts that have any."""
    names = dict.fromkeys(name for contrast in of for name in contrast.comparison.families)
    return {
        name: [
            contrast.comparison.families[name]
            for contrast in of
            if name in contrast.comparison.families
        ]
        for name in names
    }


def span(numbers: Iterable[int]) -> str:
    """What may be one number for all: the number, or the least and the greatest."""
    found = list(numbers)
    return formats.between((min(found), max(found)))


def describe(of: Sequence[Contrast]) -> str:
    """How many are surely better, surely worse, and neither."""
    ends = [contrast.comparison.every.figures["accuracy"].interval for contrast in of]
    better = sum(end is not None and end[0] > 0 for end in ends)
    worse = sum(end is not None and end[1] < 0 for end in ends)
    if len(of) == 1:
        words = {(1, 0): "is surely better", (0, 1): "is surely worse"}
        return f"It {words.get((better, worse), 'is not surely better or worse')}."
    return (
        f"Of {len(of)}, surely better: {better}; surely worse: {worse}; "
        f"neither: {len(of) - better - worse}."
    )


def _view(
    number: int, record: RunRecord, uri: str, *, page_uri: str, names: Sequence[str]
) -> RunView:
    experiment = record.experiment.to_dict()
    apart = {name: f"{name} {formats.plain(experiment[name])}" for name in names}
    test = record.datasets["test"]
    report = storage.join(uri, "report.html")
    return RunView(
        number=number,
        run_id=record.run_id,
        label=f"{number}: {', '.join([record.run_id, *apart.values()])}",
        created=record.created,
        protocol=record.experiment.protocol,
        seed=record.experiment.seed,
        apart=", ".join(words for name, words in apart.items() if name not in _OWN_COLUMNS),
        trained=", ".join(formats.count(of.num_train) for of in record.trainings),
        tested=f"{formats.count(test.num_kept)} of {test.manifest_digest[:8]}",
        models={name: load_brief(uri, name) for name in _by_size(record)},
        link=relative_link(page_uri, report) if storage.exists(report) else "",
    )


def _by_size(record: RunRecord) -> list[str]:
    return sorted(record.models, key=lambda name: (record.models[name].num_parameters, name))


_TITLES: Final = {"val_accuracy": "validation accuracy", "val_loss": "validation loss"}

_FIGURES: Final = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
}


def write_comparison(
    page_uri: str,
    run_uris: Sequence[str],
    pairs: Sequence[RunPair],
    models: Mapping[str, Comparison],
) -> str:
    """Writes the page; the same for the same runs.

    Args:
      run_uris: at least one.
      pairs: of `pipelines.evaluate.comparison.compare_with_first`; empty of one run.
      models: of `pipelines.evaluate.comparison.compare_models`, of one run; else empty.

    Returns:
      The page's URI.

    Raises:
      DatasetError: what a run stored is damaged, or of a format that this version does not read.
    """
    uri = storage.absolute(page_uri)
    views = load_views(run_uris, uri)
    found = contrasts(pairs, views) if pairs else within(models, views)
    notes = [
        f"run {number} ({pair.second}): {pair.note}"
        for number, pair in enumerate(pairs, start=2)
        if pair.note
    ]
    storage.put(uri, render_comparison(views, found, notes).encode())
    return uri


def render_comparison(
    views: Sequence[RunView],
    found: Mapping[str, Sequence[Contrast]],
    notes: Sequence[str] = (),
) -> str:
    """The page, the same for the same values.

    Args:
      found: what is set against the first of its kind, by heading.
      notes: why something was not subtracted, a sentence each.
    """
    models = model_names(views)
    drawn = {name: {key: courses(views, name, key) for key in COURSES} for name in models}
    tops = {
        name: {"val_accuracy": 1.0, "val_loss": top_of(drawn[name]["val_loss"])} for name in drawn
    }
    return _TEMPLATE.render(
        views=views,
        models=models,
        courses=drawn,
        tops=tops,
        titles=_TITLES,
        contrasts=found,
        reach=reach_of([_accuracy(contrast) for rows in found.values() for contrast in rows]),
        figures=_FIGURES,
        notes=notes,
    )


def chart(rows: Sequence[Contrast], *, reach: float) -> Markup:
    """The differences in accuracy of all notes."""
    return draw_differences([(of.title, _accuracy(of)) for of in rows], reach=reach)


def points(number: float) -> str:
    """A difference in points, with its sign."""
    shown = f"{100 * number:+.1f}"
    return "0.0" if shown in {"+0.0", "-0.0"} else shown


def is_sure(of: Difference) -> bool:
    """Whether the interval leaves 0 out."""
    return of.interval is not None and (of.interval[0] > 0 or of.interval[1] < 0)


def _accuracy(of: Contrast) -> Difference:
    return of.comparison.every.figures["accuracy"]


_TEMPLATE: Final = template(
    "compare.html.j2",
    {
        "chart": chart,
        "colours": list(zip(RUN_COLOURS, RUN_COLOURS_IN_THE_DARK, strict=True)),
        "curves": draw_courses,
        "dashes": RUN_DASHES,
        "describe": describe,
        "family_sizes": family_sizes,
        "formats": formats,
        "is_sure": is_sure,
        "key": draw_key,
        "points": points,
        "span": span,
    },
)


def relative_link(page_uri: str, target_uri: str) -> str:
    """The target as a link of the page; empty where the two lie in different stores."""
    page, target = storage.local_path(page_uri), storage.local_path(target_uri)
    if page is not None and target is not None:
        return os.path.relpath(target, page.parent).replace(os.sep, "/")
    if _store(page_uri) != _store(target_uri):
        return ""
    return posixpath.relpath(target_uri, storage.parent(page_uri))


def _store(uri: str) -> str:
    """What a location has before its path: protocol and bucket; none of a path of this machine."""
    protocol, mark, rest = uri.partition("://")
    return protocol + mark + rest.partition("/")[0] if mark else ""
