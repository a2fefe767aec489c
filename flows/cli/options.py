"""The options that commands share, each with the words that explain it."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from pipelines.errors import ConfigError
from pipelines.train.experiment import MODEL_NAMES, Experiment


class Runner(StrEnum):
    """Engines that convert."""

    local = "local"


class Model(StrEnum):
    """The two architectures."""

    preliminary = "preliminary"
    optimised = "optimised"


class Stage(StrEnum):
    """The stages of the main job that keep what they made."""

    convert = "convert"
    validate = "validate"
    train = "train"
    evaluate = "evaluate"
    report = "report"


Root = Annotated[
    str, typer.Option(help="Folder or URI (s3://bucket/prefix) for data sets, runs and reports.")
]
RunnerOption = Annotated[Runner, typer.Option(help="Engine of the conversion.")]
Quarantined = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of damaged records above which a conversion fails."),
]
Dropped = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Share of defective notes above which it fails, synth_lead apart."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Convert again what is there.")]
ForceStages = Annotated[
    list[Stage],
    typer.Option("--force", help="Stage to do again although nothing changed; may be repeated."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
]
Models = Annotated[
    list[Model], typer.Option("--model", help="Architecture to train; may be given twice.")
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training notes.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Notes a training step.")]
Fraction = Annotated[
    float, typer.Option(help="Share of the training notes kept for validation, by family.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights, split and order.")]

ALL_MODELS: Final = [Model(name) for name in MODEL_NAMES]


def experiment_of(
    models: list[Model], *, epochs: int, batch_size: int, validation_fraction: float, seed: int
) -> Experiment:
    """The experiment of the options; a value it refuses is wrong usage."""
    try:
        return Experiment(
            models=tuple(model.value for model in models),
            epochs=epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            seed=seed,
        )
    except ConfigError as err:
        raise typer.BadParameter(str(err)) from err
