"""A run's report: one HTML file that needs no network, no script and no other file.

Everything comes from what the run stored; only samples and sounds are read from the test data set
and its source, and the report says so where those are gone.
"""

from typing import Final

from pipelines import storage
from pipelines.evaluate.calibration import NUM_BINS
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.report import captions, formats, published
from pipelines.report.champion import changes
from pipelines.report.drawing import charts, cost_chart, figures
from pipelines.report.drawing.balance import draw_balance
from pipelines.report.drawing.palette import family_colour, shade
from pipelines.report.listening import AudioOf, OriginalsOf, no_originals, note_values, readers
from pipelines.report.losses import NUM_EXAMPLES
from pipelines.report.markdown.report import REPORT_MARKDOWN, report_markdown
from pipelines.report.references import REFERENCES
from pipelines.report.run_metrics import store_run_metrics
from pipelines.report.section_values import section_values
from pipelines.report.story import Story, load_story
from pipelines.report.templates import template
from pipelines.report.views import FIGURES, SHOWN_SLICES

REPORT_VERSION: Final = 6

CLOSE_UP_SEC: Final = 0.05


def build_report(run_uri: str) -> str:
    """Writes `report.html` beside what the run stored, and its story as report.md and metrics.json.

    Returns:
      The report's URI.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    story = load_story(run_uri)
    storage.put(storage.join(run_uri, REPORT_MARKDOWN), report_markdown(story).encode())
    store_run_metrics(story.run)
    uri = storage.join(run_uri, "report.html")
    storage.put(uri, render(story, *readers(story.run)).encode())
    return uri


def render(story: Story, audio_of: AudioOf, originals_of: OriginalsOf = no_originals) -> str:
    """The page, the same for the same run.

    Args:
      story: of the run.
      audio_of: samples of rows of the test data set; called once.
      originals_of: the originals of these rows; called once, where `audio_of` has an answer.
    """
    notes = note_values(story.run, audio_of, originals_of)
    has_samples = not notes["waveforms"].missing
    return _TEMPLATE.render(**notes, **section_values(story, has_samples=has_samples))


_TEMPLATE: Final = template(
    "report.html.j2",
    {
        "balance_chart": draw_balance,
        "captions": captions,
        "changes": changes,
        "close_up": figures.draw_close_up,
        "close_up_sec": CLOSE_UP_SEC,
        "colour": family_colour,
        "cost_chart": cost_chart.draw_cost,
        "cost_rows": cost_chart.cost_rows,
        "curves": figures.draw_curves,
        "feature_chart": charts.draw_features,
        "figure_names": FIGURES,
        "formats": formats,
        "min_instruments": MIN_INSTRUMENTS,
        "min_notes": MIN_NOTES,
        "num_bins": NUM_BINS,
        "num_examples": NUM_EXAMPLES,
        "published": published,
        "references": REFERENCES,
        "reliability_chart": charts.draw_reliability,
        "report_version": REPORT_VERSION,
        "shade": shade,
        "slice_chart": charts.draw_slices,
        "slice_titles": SHOWN_SLICES,
        "thumbnail": figures.draw_thumbnail,
        "waveform": figures.draw_waveform,
    },
)
