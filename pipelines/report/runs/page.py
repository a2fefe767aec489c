"""The page on a comparison: one HTML file that needs no network, no script and no other file."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from pipelines import storage
from pipelines.evaluate.comparison import Comparison, Difference
from pipelines.evaluate.runs import RunPair
from pipelines.report import formats
from pipelines.report.drawing.courses import draw_courses, draw_key, top_of
from pipelines.report.drawing.palette import RUN_COLOURS, RUN_COLOURS_IN_THE_DARK, RUN_DASHES
from pipelines.report.runs.brief import COURSES
from pipelines.report.runs.compared import (
    Contrast,
    RunView,
    contrasts,
    courses,
    describe,
    family_sizes,
    load_views,
    model_names,
    span,
    within,
)
from pipelines.report.runs.differences import draw_differences, reach_of
from pipelines.report.templates import template

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
      pairs: of `pipelines.evaluate.runs.compare_with_first`; empty of one run.
      models: of `pipelines.evaluate.runs.compare_models`, of one run; else empty.

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
    "runs/compare.html.j2",
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
