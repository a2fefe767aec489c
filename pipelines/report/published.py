"""The reference report: its published figures and findings, and works that a report cites.

They are stored in reference.toml, which names their source.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

Place = Literal[
    "result",
    "data",
    "note",
    "architectures",
    "training",
    "evaluation",
    "features",
    "cost",
    "notes",
    "provenance",
]
# Type, output shape without the batch, parameters.
Layer = tuple[str, tuple[int, ...], int]


@dataclass(frozen=True)
class PublishedModel:
    """The published figures of one model.

    Attributes:
      confusion_matrix: counts [num_classes, num_classes]; rows are the true classes.
      classification_report: precision, recall, f1 and support by class and average, as printed.
    """

    accuracy: float
    num_parameters: int
    activations: str
    layers: tuple[Layer, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    classification_report: Mapping[str, tuple[float, float, float, int]]


@dataclass(frozen=True)
class PublishedFigure:
    """A figure or table of the reference report, and the section of a page that has the like."""

    figure: str
    place: Place
    title: str
    scope: Literal["note", "models", "waveforms"]


@dataclass(frozen=True)
class PublishedFinding:
    """A finding of the reference report.

    Attributes:
      rule: how a verdict on it follows from the figures of a run.
      rests_on: sections of the page that show these figures, and which of their parts.
      left_open: what a run does not decide, and what would.
    """

    name: str
    finding: str
    rule: str
    rests_on: tuple[tuple[Place, str], ...]
    left_open: str


@dataclass(frozen=True)
class Citation:
    """A work, and what it is cited for."""

    subject: str
    text: str


@dataclass(frozen=True)
class ReferenceReport:
    """The content of reference.toml.

    Attributes:
      families: the classes, in the order of the published matrices.
      models: by the name that the report gave each.
    """

    authors: str
    num_test_notes: int
    num_epochs: int
    validation_fraction: float
    families: tuple[str, ...]
    models: Mapping[str, PublishedModel]
    figures: tuple[PublishedFigure, ...]
    findings: tuple[PublishedFinding, ...]
    references: tuple[Citation, ...]


def _load() -> ReferenceReport:
    text = Path(__file__).with_name("reference.toml").read_text("utf-8")
    return TypeAdapter(ReferenceReport).validate_python(tomllib.loads(text))


REPORT: Final = _load()
PUBLISHED: Final = REPORT.models
