import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.analysis.stored import ANALYSIS_VERSION, STRESS_FORMAT, StressPoint, StressSheet
from pipelines.layout import FEATURES_FILE
from pipelines.notes import CLASSES, NUM_SOURCE_SAMPLES
from pipelines.promotion.stored import ChampionRef, HoldoutFigures, Promotion, store_promotion
from pipelines.records import sealed
from pipelines.registry.runs import load_run, store_run
from pipelines.report import formats
from pipelines.report.build import render_html as render
from pipelines.report.build import render_markdown
from pipelines.report.example_notes import NUM_PICKS
from pipelines.report.page_values import score_views
from pipelines.report.report_data import build_report_data, load_report_data
from pipelines.report.results import load_results
from tests.pipelines.report.page import Page
from tests.pipelines.report.run_folder import audio_of, no_audio, write_run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(load_report_data(write_run(tmp_path_factory.mktemp("run"))), audio_of)


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


@pytest.mark.parametrize(
    "part",
    [
        "a1b2c3d4",
        "accuracy, kept notes",
        "accuracy, all notes",
        "accuracy, mean of instruments",
        "accuracy, seen instruments",
        "accuracy, unseen instruments",
        "below 30 notes or 5 instruments there is none",
        "negative log-likelihood",
        "15 bins of equally many notes",
        "0.4104",
        "different notes: 60 test notes here, the official 4,096 there",
        "dropped: synth_lead",
        "dropped: leaked",
        "records quarantined",
        "60 records, where the official test split has 4,096",
        "the first kept note of the test data set",
        "GlobalAveragePooling1D 64 0",
        "7,999 \N{MULTIPLICATION SIGN} 64",
        "Layer by layer as published: 4 layers, 9,098 parameters",
        "kept notes (57)",
        "all notes (60)",
        "published (4,096)",
        "weighted avg 0.41 0.41 0.36 4,096",
        "The validation score is seen",
        "batch size 32 32 steps per epoch 7 7 time per epoch, median 19.5 s 19.5 s",
        "19.5 s to 20.0 s device cpu (tensorflow 2.21.0)",
        "Curves of one quantity share their axes",
        "Kept notes by family, train",
        "1 note left out of training, because scored notes have the same audio",
        "dropped: leaked 1",
        "nsynth train gone/manifest.json --test gone/manifest.json",
        "What predicts the family Not measured: this run was not made by the main job",
        "What a longer note costs Not measured: this run was not made by the main job",
        "undecided Training time is in proportion",
        "arXiv:1704.01279",
        "p above 0.9",
        "p below 0.1",
        "ahead by less than 0.1",
        "behind by less than 0.1",
        "none above 0.9; highest 0.",
        "1 h 02 min",
        "facade",
        "decade",
        "learning_rate 0.001",
        "keras 3.15.0",
        "Engel",
        "CC BY 4.0",
    ],
)
def test_render_holds(part: str, page: Page) -> None:
    assert part in page.text


def test_render_shows_intervals_and_says_where_notes_are_too_few(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    text = Page(render(build_report_data(run), no_audio)).text
    for model in run.models:
        assert model.seen is not None
        assert model.unseen is not None
        assert model.kept.num_scored == model.seen.num_scored + model.unseen.num_scored
        for scores in (model.kept, model.every, model.seen):
            assert formats.interval(scores, "accuracy") in text
    # 38 notes are of seen instruments, 19 of unseen ones.
    assert "accuracy, unseen instruments" in text
    assert text.count("95 % interval too few too few notes, instruments 19, 19 19, 19") == 1


def test_render_has_one_player_for_each_note_that_it_shows(page: Page) -> None:
    players = [value for name, value in page.attributes if name == "id" and "note-" in str(value)]
    assert page.tags.count("audio") == len(players) == len(set(players)) > 40
    links = [value for name, value in page.attributes if name == "href" and "#note-" in str(value)]
    assert {str(link)[1:] for link in links} <= set(players)


def test_render_plays_originals_where_they_are_found(tmp_path: Path, source: str) -> None:
    run = load_results(write_run(tmp_path, models={"tiny": 1.0}, num_notes=20))
    original = np.zeros(NUM_SOURCE_SAMPLES, np.float32)
    text = render(build_report_data(run), audio_of, lambda rows: dict.fromkeys(rows, original))
    assert "stored signal</p>" not in text
    assert "% of energy above" in text
    assert "stored signal</p>" in source


def test_render_of_notes_that_are_not_resampled_has_originals_only(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0}, num_notes=20)
    store_run(replace(load_run(uri), num_samples=NUM_SOURCE_SAMPLES), uri)
    tone = np.sin(np.arange(NUM_SOURCE_SAMPLES) / 20).astype(np.float32)
    text = render(load_report_data(uri), lambda rows: np.tile(tone, (len(rows), 1)))
    assert "stored signal" not in text
    assert "% of energy above" not in text
    assert "source of this note is gone" not in text
    assert "spectrogram of the original, bass" in text


def test_render_shows_what_each_feature_says(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    score = {"num_notes": 57, "num_instruments": 57, "is_constant": False, "interval": [0.1, 0.4]}
    content = {
        "analysis_version": ANALYSIS_VERSION,
        "of": [],
        "method": {"max_train": 3000},
        "scores": [score | {"feature": "pitch", "accuracy": 0.25}],
    }
    (tmp_path / FEATURES_FILE).write_text(json.dumps(content))
    page = Page(render(load_report_data(uri), no_audio))
    assert "pitch 0.2500 0.1000 to 0.4000" in page.text
    assert "accuracy by feature" in [value for _, value in page.attributes]


def test_render_has_a_table_of_the_stored_baselines(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    assert "Baselines" not in Page(render(load_report_data(uri), no_audio)).text
    folder = tmp_path / "baselines" / "nearest_neighbour"
    shutil.copytree(tmp_path / "tiny", folder)
    data = load_report_data(uri)
    cell = formats.figure_with_interval(data.run.models[0].kept, "accuracy")
    assert f"nearest neighbour {cell}" in Page(render(data, no_audio)).text
    assert f"| nearest neighbour | {cell} |" in render_markdown(data)


def test_render_draws_the_robustness_of_models_that_have_a_sheet(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    assert "Robustness" not in Page(render(load_report_data(uri), no_audio)).text
    changes = (("delay", 0.0), ("delay", 50.0), ("noise", 10.0), ("gain", 10.0), ("polarity", None))
    points = tuple(
        StressPoint(kind, f"{kind} {value}", value, 0.5, (0.4, 0.6), -0.1, (-0.2, 0.1))
        for kind, value in changes
    )
    sheet = StressSheet("tiny", ("1",), 0, 57, 57, 0.6, None, points)
    place = tmp_path / "tiny" / "stress.json"
    place.write_bytes(sealed(asdict(sheet), format_version=STRESS_FORMAT))
    data = load_report_data(uri)
    page = Page(render(data, no_audio))
    assert "delay 50.0 0.5000 (0.4000 to 0.6000)" in page.text
    assert "accuracy by milliseconds of delay" in [value for _, value in page.attributes]
    assert "| polarity None | 0.5000 (0.4000 to 0.6000) |" in render_markdown(data)


def test_render_has_the_ends_of_what_differs_between_folds(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    record = load_run(uri)
    (one,) = record.models["tiny"].trainings
    folds = (one, replace(one, num_steps=9, stored_epoch=3, device="a GPU"))
    models = {"tiny": replace(record.models["tiny"], trainings=folds)}
    store_run(replace(record, models=models), uri)
    text = Page(render(load_report_data(uri), no_audio)).text
    assert "stored epoch 10, 3" in text
    assert "steps per epoch 7 to 9" in text
    assert "device cpu (tensorflow 2.21.0), a GPU" in text


def test_render_draws_curves_a_note_and_thumbnails(page: Page) -> None:
    drawings = [value for name, value in page.attributes if name == "aria-label"]
    assert drawings.count("loss of training and validation by epoch") == 2
    assert drawings.count("accuracy of training and validation by epoch") == 2
    assert drawings.count("waveform of a whole note") == 1
    # Two models, ten classes, four cells: each shows a note at least.
    assert drawings.count("waveform") >= 80


def test_render_needs_no_script_and_no_other_file(source: str, page: Page) -> None:
    # The browser refuses all that the page does not hold itself.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
    assert ("http-equiv", "Content-Security-Policy") in page.attributes
    assert ("content", policy) in page.attributes
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    sources = [value or "" for name, value in page.attributes if name == "src"]
    assert len(sources) > 50
    assert all(re.match("data:(image/png|audio/mpeg);base64,", source) for source in sources)
    loads = [value for name, value in page.attributes if name == "xlink:href"]
    assert all(value and value.startswith("#") for value in loads)
    assert "url(http" not in source
    assert "@import" not in source
    assert len(source) < 8_000_000


def test_render_is_the_same_each_time(tmp_path: Path) -> None:
    data = load_report_data(write_run(tmp_path, models={"tiny": 1.0}, num_notes=20))
    assert render(data, audio_of) == render(data, audio_of)


def test_render_escapes_what_records_hold(tmp_path: Path) -> None:
    hostile = "{family}<script>alert('{i}')</script>&\"\N{SNOWMAN}"
    uri = write_run(tmp_path, note_str=hostile, models={"bold": 1.0, "preliminary": 1.0})
    page = Page(render(load_report_data(uri), no_audio))
    assert "script" not in page.tags
    assert "<script>alert('0')</script>&\"\N{SNOWMAN}" in page.text


def test_render_takes_families_and_models_from_the_run(tmp_path: Path) -> None:
    families = ("theremin", "kazoo", "bass")
    uri = write_run(tmp_path, families=families, models={"huge": 2.0, "mini": 1.0, "odd": 3.0})
    page = Page(render(load_report_data(uri), no_audio))
    assert page.text.count("theremin") > 30
    assert "vocal" not in page.text
    assert "published (4,096)" not in page.text
    assert "mini, evaluation version 3" in page.text


def test_score_views_have_all_notes_once_where_none_was_dropped(tmp_path: Path) -> None:
    (model,) = load_results(write_run(tmp_path, num_dropped=0, models={"tiny": 1.0})).models
    assert [title for title, _ in score_views(model)] == ["all notes (60), none dropped"]


def test_render_survives_a_family_of_which_nothing_was_kept(tmp_path: Path) -> None:
    uri = write_run(tmp_path, num_notes=20, num_dropped=11, models={"tiny": 1.0})
    page = Page(render(load_report_data(uri), no_audio))
    assert "vocal 0 notes p above 0.9 no kept note of this family" in page.text


def test_render_asks_for_samples_once_and_of_shown_notes_only(tmp_path: Path) -> None:
    asked: list[Sequence[int]] = []

    def listening(rows: Sequence[int]) -> NDArray[np.float32]:
        asked.append(rows)
        return no_audio(rows)

    note_str = "{family}_acoustic_000-{i:03d}-100"
    render(load_report_data(write_run(tmp_path, num_notes=600, note_str=note_str)), listening)
    (rows,) = asked
    assert list(rows) == sorted(set(rows))
    assert len(rows) <= 2 * len(CLASSES) * 4 * NUM_PICKS + len(CLASSES)


def test_render_says_so_where_samples_are_gone(tmp_path: Path) -> None:
    page = Page(render(load_report_data(write_run(tmp_path)), no_audio))
    assert "shows no waveforms: part-00000.parquet is missing" in page.text
    assert "bass_acoustic_000-060-100" in page.text
    assert "confusion matrix, kept notes (57)" in [value for _, value in page.attributes]


def test_render_shows_the_change_against_the_champion_in_figures(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"tiny": 1.0})
    gate = HoldoutFigures("cafe", num_notes=145, num_instruments=40, look=3)
    accuracy = {"first": 0.5, "second": 0.75, "difference": 0.25, "interval": [0.125, 0.375]}
    promotion = Promotion(
        model="tiny",
        run_id="a1b2c3d4",
        model_sha256="dd",
        outcome="promoted",
        why="it is better",
        by="flow",
        reason="",
        margin=0.0,
        entry=2,
        gate=gate,
        champion=ChampionRef(1, "beef", "ee"),
        figures={"figures": {"accuracy": accuracy}},
        quality_drop=False,
        health=(),
    )
    store_promotion(uri, promotion)
    text = Page(render(load_report_data(uri), no_audio)).text
    assert "on the 145 notes of the gate champion, run beef this run change" in text
    assert "accuracy 0.5000 0.7500 +0.2500 +0.1250 to +0.3750" in text
