"""A run's report: one HTML file that needs no network, no script and no other file.

Everything comes from what the run stored; only the waveforms are read from the test data set, and
the report says so where that is gone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.analysis.stored import load_cost, load_features
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.calibration import NUM_BINS
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.evaluate.slices import reliability
from pipelines.report import (
    captions,
    charts,
    claims,
    comparison,
    cost_chart,
    counterparts,
    figures,
    formats,
    published,
    setting,
    verdict,
)
from pipelines.report.palette import family_colour, shade
from pipelines.report.report_markdown import REPORT_MARKDOWN, report_markdown
from pipelines.report.results import (
    ModelResults,
    RunResults,
    load_promotions,
    load_results,
)
from pipelines.report.run_metrics import store_run_metrics
from pipelines.report.samples import Sample, drawn, first_kept
from pipelines.report.section_values import section_values
from pipelines.report.selection import Cell, select_cells
from pipelines.report.sounds import original_sound, originals, stored_sound
from pipelines.report.tables import count_rows, family_rows, most_confused, parameter_rows
from pipelines.report.templates import template
from pipelines.report.views import SHOWN_SLICES, kept, score_views, shown_slices

REPORT_VERSION: Final = 6

CLOSE_UP_SEC: Final = 0.05

AudioOf = Callable[[Sequence[int]], NDArray[np.float32]]
"""float32 [len(rows), num_samples] of these rows of the test data set."""

OriginalsOf = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
"""float32 [64000] of these rows, by row; without those whose source is gone."""


@dataclass(frozen=True)
class Waveforms:
    """The samples a report shows, by row of the test data set; none, and why, if they are gone."""

    audio: Mapping[int, NDArray[np.float32]]
    missing: str


@dataclass(frozen=True)
class ClassView:
    """The cells of one class of one model, and how many kept notes it has."""

    family: str
    num_notes: int
    cells: tuple[Cell, ...]


def build_report(run_uri: str) -> str:
    """Writes `report.html` beside what the run stored, and its story as report.md and metrics.json.

    Returns:
      The report's URI.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    run = load_results(run_uri)
    test = run.record.datasets["test"]

    def audio_of(rows: Sequence[int]) -> NDArray[np.float32]:
        dataset = open_dataset(test.manifest_uri)
        if dataset.manifest.manifest_digest != test.manifest_digest:
            raise DatasetError(
                f"expected the data set {test.manifest_digest} at {test.manifest_uri}, "
                f"found {dataset.manifest.manifest_digest}: other notes than the run was tested on"
            )
        return dataset.audio(rows)

    def originals_of(rows: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
        return originals(open_dataset(test.manifest_uri), rows)

    storage.put(storage.join(run_uri, REPORT_MARKDOWN), report_markdown(run).encode())
    store_run_metrics(run)
    uri = storage.join(run_uri, "report.html")
    storage.put(uri, render(run, audio_of, originals_of).encode())
    return uri


def no_originals(rows: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
    """For a page whose sources are gone."""
    return {}


def render(run: RunResults, audio_of: AudioOf, originals_of: OriginalsOf = no_originals) -> str:
    """The page, the same for the same run.

    Args:
      run: what the run stored.
      audio_of: samples of rows of the test data set; called once.
      originals_of: the originals of these rows; called once, where `audio_of` has an answer.
    """
    classes = {model.name: _class_views(run, model) for model in run.models}
    samples = first_kept(run)
    waveforms = _load_waveforms(audio_of, _rows(classes, samples))
    found = originals_of(list(waveforms.audio)) if waveforms.audio else {}
    sounds = {
        row: original_sound(found[row]) if row in found else stored_sound(audio)
        for row, audio in waveforms.audio.items()
    }
    features, cost = load_features(run.uri), load_cost(run.uri)
    return _TEMPLATE.render(
        run=run,
        record=run.record,
        report_version=REPORT_VERSION,
        comparison=comparison.describe(run),
        published=published,
        counts=count_rows(run.record.datasets),
        kept_by_family=family_rows(run.record.datasets),
        experiment=parameter_rows(run.record.experiment),
        views={model.name: score_views(model) for model in run.models},
        classes=classes,
        sample=samples[0],
        samples=[drawn(sample, found, waveforms.audio) for sample in samples],
        waveforms=waveforms,
        sounds=sounds,
        played=set(),
        verdict=verdict.describe(run),
        features=features,
        cost=cost,
        findings=claims.claims(run, features, cost),
        setting=setting.describe(run),
        counterparts=counterparts.counterparts(run, has_samples=not waveforms.missing),
        protocol=verdict.PROTOCOLS[run.record.experiment.protocol],
        instruments=verdict.instruments(run),
        promotions=load_promotions(run),
        slice_titles=SHOWN_SLICES,
        slices={model.name: shown_slices(run, model) for model in run.models},
        reliability={model.name: reliability(kept(model)) for model in run.models},
        confused={model.name: most_confused(model.kept, run.families) for model in run.models},
        close_up_sec=CLOSE_UP_SEC,
        min_notes=MIN_NOTES,
        min_instruments=MIN_INSTRUMENTS,
        num_bins=NUM_BINS,
        **section_values(run),
    )


def _class_views(run: RunResults, model: ModelResults) -> list[ClassView]:
    labels = model.predictions.label[model.predictions.kept]
    return [
        ClassView(
            family=family,
            num_notes=int((labels == label).sum()),
            cells=select_cells(model.predictions, run.families, label),
        )
        for label, family in enumerate(run.families)
    ]


def _rows(classes: Mapping[str, Sequence[ClassView]], samples: Sequence[Sample]) -> list[int]:
    """The rows whose samples the page shows, ascending."""
    rows = {sample.row for sample in samples}
    for views in classes.values():
        for cell in (cell for view in views for cell in view.cells):
            rows.update(pick.row for pick in (*cell.picks, cell.nearest) if pick)
    return sorted(rows)


def _load_waveforms(audio_of: AudioOf, rows: Sequence[int]) -> Waveforms:
    try:
        return Waveforms(dict(zip(rows, audio_of(rows), strict=True)), "")
    except (PipelineError, FileNotFoundError) as err:
        # Shards may be deleted to save space; the rest of the report stands without them.
        return Waveforms({}, str(err))


_TEMPLATE: Final = template(
    "report.html.j2",
    {
        "curves": figures.draw_curves,
        "waveform": figures.draw_waveform,
        "close_up": figures.draw_close_up,
        "thumbnail": figures.draw_thumbnail,
        "slice_chart": charts.draw_slices,
        "feature_chart": charts.draw_features,
        "cost_chart": cost_chart.draw_cost,
        "cost_rows": cost_chart.cost_rows,
        "claims": claims,
        "reliability_chart": charts.draw_reliability,
        "colour": family_colour,
        "shade": shade,
        "captions": captions,
        "formats": formats,
    },
)
