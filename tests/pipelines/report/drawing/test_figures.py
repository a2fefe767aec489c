import re
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pytest

from pipelines.notes import NUM_SAMPLES
from pipelines.report.drawing.figures import (
    draw_close_up,
    draw_curves,
    draw_thumbnail,
    draw_waveform,
)
from tests.pipelines.report.run_folder import audio_of

HISTORY: dict[str, list[float]] = {
    "epoch": [1, 2, 3],
    "loss": [2.0, 1.5, 1.2],
    "accuracy": [0.2, 0.4, 0.5],
    "val_loss": [2.1, 1.7, 1.6],
    "val_accuracy": [0.2, 0.3, 0.4],
    "seconds": [1.0, 1.0, 1.0],
}


def texts(svg: str) -> list[str]:
    # S314: the drawings of this project are no foreign XML.
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]  # noqa: S314


def points(svg: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    path = re.search(r'd="M([^Z]*)Z"', svg)
    assert path
    return np.array(path[1].split(), int).reshape(-1, 2)


def test_draw_curves_labels_both_curves_and_whole_epochs() -> None:
    found = texts(draw_curves(HISTORY, "accuracy"))
    assert {"epoch", "accuracy", "training", "validation", "1", "2", "3"} <= set(found)
    assert "1.5" not in found


def test_draw_curves_of_one_epoch_has_one_tick() -> None:
    history = {name: values[:1] for name, values in HISTORY.items()}
    assert [text for text in texts(draw_curves(history, "accuracy")) if text == "1"] == ["1"]


def test_draw_curves_is_the_same_in_threads_and_leaves_settings_alone() -> None:
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(lambda _: draw_curves(HISTORY, "loss"), range(8)))
    assert len(drawn) == 1
    assert dict(mpl.rcParams) == before


def test_drawings_share_no_id_on_a_page() -> None:
    audio = audio_of([3])[0]
    page = "".join(
        [
            draw_curves(HISTORY, "loss"),
            draw_curves(HISTORY, "accuracy"),
            draw_waveform(audio, "#000000"),
            draw_close_up(audio, "#000000", seconds=0.05),
        ]
    )
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) == set(ids)


@pytest.mark.parametrize("loudest", [0, 4_000, NUM_SAMPLES - 1])
def test_draw_close_up_holds_the_loudest_sample(loudest: int) -> None:
    audio = np.zeros(NUM_SAMPLES, np.float32)
    audio[loudest] = -0.5
    assert "\N{MINUS SIGN}0.5" in texts(draw_close_up(audio, "#000000", seconds=0.05))


def test_draw_thumbnail_keeps_the_extremes_of_each_stretch() -> None:
    audio = np.zeros(NUM_SAMPLES, np.float32)
    audio[123], audio[7_000] = 0.5, -0.25
    y = points(draw_thumbnail(audio, "#000000"))[:, 1]
    # Upwards is negative, the peak nearly fills the half height of 100, and scale is one.
    assert (y.min(), y.max()) == (-95, 48)


def test_draw_thumbnail_goes_there_and_back() -> None:
    x = points(draw_thumbnail(audio_of([1])[0], "#000000"))[:, 0]
    half = len(x) // 2
    assert (np.diff(x[:half]) == 1).all()
    assert (x[half:] == x[:half][::-1]).all()


def test_draw_thumbnail_of_silence_is_a_flat_line() -> None:
    assert not points(draw_thumbnail(np.zeros(NUM_SAMPLES, np.float32), "#000000"))[:, 1].any()
