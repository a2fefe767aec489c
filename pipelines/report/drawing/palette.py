"""The colours of pages: one for each family and each run, and a scale for shares."""

from types import MappingProxyType
from typing import Final

# From the palettes of Okabe and Ito, Tol, and ColorBrewer, chosen so that the ten classes stay
# apart for every kind of colour vision. A name is always shown beside its colour.
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
UNKNOWN_COLOUR: Final = "#444444"

# One for each run, on a light page and on a dark one: of the same palettes, the six that stay
# farthest apart for every kind of colour vision. From the seventh run on they repeat with other
# dashes.
RUN_COLOURS: Final = ("#4477AA", "#CC6677", "#8C6D00", "#332288", "#661100", "#000000")
RUN_COLOURS_IN_THE_DARK: Final = (
    "#88CCEE",
    "#EE6677",
    "#DDCC77",
    "#4477AA",
    "#E69F00",
    "#FFFFFF",
)

# Line styles of matplotlib, in multiples of the line's width.
RUN_DASHES: Final[tuple[str | tuple[int, tuple[float, ...]], ...]] = (
    "solid",
    (0, (3.5, 1.5)),
    (0, (1, 1.5)),
    (0, (4.5, 1.5, 1, 1.5)),
)

_DARKEST: Final = (8, 64, 129)


def family_colour(family: str) -> str:
    """Return the colour of a family; grey for a name that NSynth does not have."""
    return FAMILY_COLOURS.get(family, UNKNOWN_COLOUR)


def run_style(number: int) -> tuple[int, int]:
    """Return the places of the colour and dashes of a run, from number 1; 24 are distinct."""
    place = number - 1
    return place % len(RUN_COLOURS), (place + place // 12) % len(RUN_DASHES)


def shade(share: float) -> tuple[str, str]:
    """Return the background and text colours of a cell that holds this share of its row.

    Args:
      share: in [0, 1]; white at 0, dark blue at 1.

    Returns:
      Two colours whose contrast is at least 4.5, the least that WCAG 2 asks of small text.
    """
    red, green, blue = (round(255 + (dark - 255) * share) for dark in _DARKEST)
    background = f"#{red:02x}{green:02x}{blue:02x}"
    # Both texts reach that contrast at a share of 0.7, one of them on either side.
    return background, "#ffffff" if share >= 0.7 else "#000000"
