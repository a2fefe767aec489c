"""The figures that the reference report published, to stand beside ours.

Source: A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology), a report on two 1-D
convolutional networks on NSynth: trained on the valid split (0.67 / 0.33 for training and
validation, 10 epochs), tested on the 4,096 notes of the test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

AUTHORS: Final = "A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology)"
NUM_TEST_NOTES: Final = 4_096
NUM_EPOCHS: Final = 10

FAMILIES: Final = (
    "bass",
    "brass",
    "flute",
    "guitar",
    "keyboard",
    "mallet",
    "organ",
    "reed",
    "string",
    "vocal",
)
"""The classes, in the order of the published matrices."""

Layer = tuple[str, tuple[int, ...], int]
"""Type, output shape without the batch, parameters."""


@dataclass(frozen=True)
class PublishedModel:
    """What was published of one model.

    Attributes:
      confusion_matrix: counts, rows the true class.
      classification_report: precision, recall, f1 and support by class and average, as printed:
        rounded to two decimals.
    """

    accuracy: float
    num_parameters: int
    layers: tuple[Layer, ...]
    activations: str
    confusion_matrix: tuple[tuple[int, ...], ...]
    classification_report: Mapping[str, tuple[float, float, float, int]]


PRELIMINARY: Final = PublishedModel(
    accuracy=0.410400390625,
    num_parameters=9_098,
    layers=(
        ("Conv1D", (7999, 64), 192),
        ("Conv1D", (7998, 64), 8_256),
        ("GlobalAveragePooling1D", (64,), 0),
        ("Dense", (10,), 650),
    ),
    activations="ReLU in the convolutions, softmax at the output",
    confusion_matrix=(
        (461, 14, 5, 4, 317, 0, 24, 12, 4, 2),
        (9, 153, 7, 0, 77, 0, 8, 14, 0, 1),
        (44, 43, 7, 0, 84, 0, 2, 0, 0, 0),
        (77, 25, 9, 13, 482, 0, 22, 9, 15, 0),
        (99, 12, 0, 38, 612, 0, 3, 0, 2, 0),
        (44, 0, 0, 8, 150, 0, 0, 0, 0, 0),
        (29, 82, 11, 1, 97, 0, 242, 25, 6, 9),
        (1, 62, 1, 0, 100, 0, 19, 51, 0, 1),
        (48, 44, 0, 4, 126, 0, 34, 2, 38, 10),
        (0, 10, 0, 0, 3, 0, 16, 8, 0, 104),
    ),
    classification_report=MappingProxyType(
        {
            "bass": (0.57, 0.55, 0.56, 843),
            "brass": (0.34, 0.57, 0.43, 269),
            "flute": (0.17, 0.04, 0.06, 180),
            "guitar": (0.19, 0.02, 0.04, 652),
            "keyboard": (0.30, 0.80, 0.43, 766),
            "mallet": (0.00, 0.00, 0.00, 202),
            "organ": (0.65, 0.48, 0.56, 502),
            "reed": (0.42, 0.22, 0.29, 235),
            "string": (0.58, 0.12, 0.20, 306),
            "vocal": (0.82, 0.74, 0.78, 141),
            "macro avg": (0.41, 0.35, 0.33, 4096),
            "weighted avg": (0.41, 0.41, 0.36, 4096),
        }
    ),
)

OPTIMISED: Final = PublishedModel(
    accuracy=0.901611328125,
    num_parameters=8_838_158,
    layers=(
        ("Conv1D", (7999, 64), 192),
        ("Conv1D", (7998, 32), 4_128),
        ("Conv1D", (7997, 92), 5_980),
        ("MaxPooling1D", (3998, 92), 0),
        ("Dropout", (3998, 92), 0),
        ("Flatten", (367_816,), 0),
        ("Dense", (24,), 8_827_608),
        ("Dense", (10,), 250),
    ),
    activations="LeakyReLU in the convolutions, softmax at the output; not said for the dense 24",
    confusion_matrix=(
        (813, 0, 0, 6, 14, 8, 2, 0, 0, 0),
        (0, 214, 4, 2, 1, 0, 16, 25, 3, 4),
        (0, 2, 163, 0, 1, 0, 11, 1, 1, 1),
        (3, 0, 0, 597, 42, 6, 1, 0, 0, 3),
        (13, 0, 0, 50, 678, 15, 6, 1, 3, 0),
        (8, 0, 0, 3, 20, 166, 5, 0, 0, 0),
        (1, 2, 3, 4, 4, 0, 456, 15, 3, 14),
        (0, 17, 1, 0, 2, 0, 11, 199, 3, 2),
        (6, 4, 1, 4, 5, 2, 10, 6, 268, 0),
        (0, 0, 0, 0, 0, 0, 2, 0, 0, 139),
    ),
    classification_report=MappingProxyType(
        {
            "bass": (0.96, 0.96, 0.96, 843),
            "brass": (0.90, 0.80, 0.84, 269),
            "flute": (0.95, 0.91, 0.93, 180),
            "guitar": (0.90, 0.92, 0.91, 652),
            "keyboard": (0.88, 0.89, 0.88, 766),
            "mallet": (0.84, 0.82, 0.83, 202),
            "organ": (0.88, 0.91, 0.89, 502),
            "reed": (0.81, 0.85, 0.83, 235),
            "string": (0.95, 0.88, 0.91, 306),
            "vocal": (0.85, 0.99, 0.91, 141),
            "macro avg": (0.89, 0.89, 0.89, 4096),
            "weighted avg": (0.90, 0.90, 0.90, 4096),
        }
    ),
)

PUBLISHED: Final[Mapping[str, PublishedModel]] = MappingProxyType(
    {"preliminary": PRELIMINARY, "optimised": OPTIMISED}
)
"""By the name that the report gave each model."""
