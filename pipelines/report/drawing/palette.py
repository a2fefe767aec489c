"""The colours of a report, in one place: one a family, two for curves, a scale for shares."""

from types import MappingProxyType
from typing import Final

FAMILY_COLOURS: Final = MappingProxyType(
    {
        "bass": "#332288",
        "brass": "#8C510A",
        "flute": "#56B4E9",
        "guitar": "#EE8866",
        "keyboard": "#000000",
        "mallet": "#AAAA00",
        "organ": "#661100",
        "reed": "#004D40",
        "string": "#0072B2",
        "synth_lead": "#BBBBBB",
        "vocal": "#777777",
    }
)
"""Drawn from the palettes of Okabe and Ito, Tol, and ColorBrewer; chosen so that the ten classes
stay apart for every kind of colour vision. A name always stands beside its colour."""

UNKNOWN_COLOUR: Final = "#444444"

TRAINING_COLOUR: Final = "#0072B2"
VALIDATION_COLOUR: Final = "#D55E00"

RUN_COLOURS: Final = ("#4477AA", "#CC6677", "#8C6D00", "#332288", "#661100", "#000000")
RUN_COLOURS_IN_THE_DARK: Final = (
    "#88CCEE",
    "#EE6677",
    "#DDCC77",
    "#4477AA",
    "#E69F00",
    "#FFFFFF",
)
"""One a run, on a light page and on a dark one: of the palettes above, the six that stay farthest
apart for every kind of colour vision. From the seventh run on they begin anew, in other dashes."""

RUN_DASHES: Final = ("none", "7 3", "2 3", "9 3 2 3")

_DARKEST: Final = (8, 64, 129)


def family_colour(family: str) -> str:
    """The colour of a family, the same everywhere; grey for a name that NSynth does not have."""
    return FAMILY_COLOURS.get(family, UNKNOWN_COLOUR)


def run_style(number: int) -> tuple[int, int]:
    """Which colour and which dashes the run of a number has, from 1; 24 are told apart."""
    place = number - 1
    return place % len(RUN_COLOURS), (place + place // 12) % len(RUN_DASHES)


def shade(share: float) -> tuple[str, str]:
    """Background and text colour of a cell that holds this share of its row.

    Args:
      share: in [0, 1]; white at 0, dark blue at 1.

    Returns:
      Two colours whose contrast is at least 4.5, the least that WCAG 2 asks of small text.
    """
    red, green, blue = (round(255 + (dark - 255) * share) for dark in _DARKEST)
    background = f"#{red:02x}{green:02x}{blue:02x}"
    # Both texts reach that contrast at a share of 0.7, one of them on either side.
    return background, "#ffffff" if share >= 0.7 else "#000000"
