from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.notes import CLASSES, FAMILIES
from pipelines.report.drawing.palette import (
    FAMILY_COLOURS,
    RUN_COLOURS,
    RUN_COLOURS_IN_THE_DARK,
    UNKNOWN_COLOUR,
    family_colour,
    shade,
)

# How a dichromat sees linear RGB. Source: Machado, Oliveira, Fernandes, "A Physiologically-based
# Model for Simulation of Color Vision Deficiency", 2009, severity 1.
VISION = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanope": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour: str) -> NDArray[np.float64]:
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ rgb.clip(1e-4, 1) / np.array([0.9505, 1.0, 1.0888]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def luminance(colour: str) -> float:
    return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("matrix", VISION.values(), ids=VISION.keys())
def test_family_colours_stay_apart_for_every_vision(matrix: NDArray[np.float64]) -> None:
    seen = {family: lab(matrix @ linear(family_colour(family))) for family in CLASSES}
    near = {
        (a, b): distance
        for a, b in combinations(CLASSES, 2)
        if (distance := float(np.linalg.norm(seen[a] - seen[b]))) < 18
    }
    assert not near


@pytest.mark.parametrize(
    ("colours", "page"), [(RUN_COLOURS, "#ffffff"), (RUN_COLOURS_IN_THE_DARK, "#161616")]
)
def test_run_colours_stay_apart_for_every_vision_and_stand_out(
    colours: tuple[str, ...], page: str
) -> None:
    for matrix in VISION.values():
        seen = [lab(matrix @ linear(colour)) for colour in colours]
        assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 25
    for colour in colours:
        light, dark = sorted(map(luminance, (colour, page)), reverse=True)
        # The least that WCAG 2 asks of lines.
        assert (light + 0.05) / (dark + 0.05) >= 3


def test_family_colour_is_set_for_each_family_and_no_other() -> None:
    assert tuple(FAMILY_COLOURS) == FAMILIES
    assert family_colour("theremin") == UNKNOWN_COLOUR


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_shade_leaves_the_number_readable(share: float) -> None:
    light, dark = sorted(map(luminance, shade(float(share))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_shade_darkens_with_the_share() -> None:
    luminances = [luminance(shade(share)[0]) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert luminances == sorted(luminances, reverse=True)
    assert shade(0.0)[0] == "#ffffff"
