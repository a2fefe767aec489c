"""A confusion matrix as a small picture, for pages that show images but no drawings."""

import io
from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from pipelines.report.drawing.figures import SETTINGS_LOCK
from pipelines.report.drawing.palette import shade

_INCHES: Final = (4.8, 4.3)
_DOTS_PER_INCH: Final = 120
_NUM_COLOURS: Final = 32
_SCALE: Final = LinearSegmentedColormap.from_list("shares", [shade(0)[0], shade(1)[0]])


def draw_matrix(families: Sequence[str], matrix: Sequence[Sequence[int]], *, title: str) -> bytes:
    """A confusion matrix, each cell with its count and shaded by its share of the row.

    Args:
      families: the class names in label order.
      matrix: counts [num_classes, num_classes]; rows are the true classes.

    Returns:
      A PNG file of some 10 KB.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with SETTINGS_LOCK, mpl.rc_context({"font.size": 8.0}):
        figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(shares, cmap=_SCALE, vmin=0, vmax=1)
        axes.set_xticks(range(len(families)), families, rotation=45, ha="right")
        axes.set_yticks(range(len(families)), families)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title, fontsize=9)
        for (row, column), count in np.ndenumerate(counts):
            # A grid of zeros would hide the few confusions.
            if count:
                colour = shade(float(shares[row, column]))[1]
                axes.text(column, row, f"{count}", ha="center", va="center", color=colour, size=7)
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(_NUM_COLOURS).save(small, "png", optimize=True)
    return small.getvalue()
