import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.report.drawing.matrix_image import draw_matrix
from pipelines.report.published import FAMILIES, OPTIMISED


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_draw_matrix_is_small_and_always_the_same() -> None:
    png = draw_matrix(FAMILIES, OPTIMISED.confusion_matrix, title="optimised")
    assert png == draw_matrix(FAMILIES, OPTIMISED.confusion_matrix, title="optimised")
    assert len(png) < 20_000


def test_draw_matrix_darkens_a_cell_by_its_share_of_the_row() -> None:
    diagonal = pixels(draw_matrix(["a", "b"], [[9, 0], [0, 1]], title=""))
    mixed = pixels(draw_matrix(["a", "b"], [[5, 5], [1, 1]], title=""))
    dark = (diagonal.sum(axis=2) < 300).mean(), (mixed.sum(axis=2) < 300).mean()
    assert dark[0] > 5 * dark[1]


def test_draw_matrix_takes_a_class_without_notes() -> None:
    assert pixels(draw_matrix(["a", "b"], [[2, 1], [0, 0]], title="")).size
