"""The options that commands share, each with the words that explain it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from pipelines.errors import ConfigError
from pipelines.experiment import MODEL_NAMES, Experiment, check_datasets
from pipelines.text import listed


class Runner(StrEnum):
    """Engines that convert."""

    local = "local"
    portable = "portable"
    prism = "prism"
    flink = "flink"
    dataflow = "dataflow"


class Model(StrEnum):
    """The two architectures."""

    preliminary = "preliminary"
    optimised = "optimised"


class Protocol(StrEnum):
    """Which notes train, choose and score."""

    reference = "reference"
    official = "official"
    grouped = "grouped"


class Stage(StrEnum):
    """The stages of the main job that keep what they made."""

    convert = "convert"
    validate = "validate"
    train = "train"
    evaluate = "evaluate"
    analyse = "analyse"
    report = "report"


Root = Annotated[
    str, typer.Option(help="Folder or URI (s3://bucket/prefix) for data sets, runs and reports.")
]
RunnerOption = Annotated[
    Runner, typer.Option(help="Engine of the conversion; portable is any Beam job server.")
]
JobEndpoint = Annotated[
    str | None, typer.Option(help="HOST:PORT of a Beam job server that runs already.")
]
BeamOptions = Annotated[
    list[str],
    typer.Option("--beam-option", metavar="KEY=VALUE", help="Option of Beam; may be repeated."),
]
EngineSettings = Annotated[
    str | None,
    typer.Option(help="File of the engine's settings.", show_default="infra/engines/<runner>.toml"),
]
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
TrainFraction = Annotated[
    float, typer.Option(help="Share of what is left to train on that does train.")
]
Seeds = Annotated[
    list[int],
    typer.Option("--seed", min=0, help="Seed of weights, split and order; repeated: a run each."),
]
ProtocolOption = Annotated[
    Protocol,
    typer.Option(
        help="reference: split by note, score the last epoch on test; official: --valid chooses "
        "the epoch; grouped: score each training note by a model that never met its instrument."
    ),
]

Promote = Annotated[
    bool,
    typer.Option(help="Set each model against the champion of its name; not with several seeds."),
]
Margin = Annotated[
    float,
    typer.Option(min=0, max=0.99, help="How much less accurate than the champion it may be."),
]

ALL_MODELS: Final = [Model(name) for name in MODEL_NAMES]


def beam_options_of(given: Sequence[str], **named: str | None) -> list[str]:
    """Beam options as KEY=VALUE, where an option of the command's own wins over one of `given`.

    Args:
      named: by Beam's names; None where the command was not given one.
    """
    told = {name: value for name, value in named.items() if value}
    others = [pair for pair in given if pair.lstrip("-").partition("=")[0] not in told]
    return [*others, *(f"{name}={value}" for name, value in told.items())]


def experiments_of(
    models: list[Model],
    *,
    seeds: list[int],
    protocol: Protocol,
    sources: Mapping[str, str | None],
    **others: Any,
) -> list[Experiment]:
    """The experiment of each seed; what one of them refuses is wrong usage.

    Args:
      sources: what is given for `valid` and `test`.
      others: more fields of `Experiment`.
    """
    given = {name: source is not None for name, source in sources.items()}
    try:
        check_datasets(protocol.value, **given)
        if len(set(seeds)) < len(seeds):
            got = listed(map(str, seeds))
            raise ConfigError(f"each --seed is a run of its own; got {got}, one of them twice")
        return [
            Experiment(
                models=tuple(model.value for model in models),
                seed=seed,
                protocol=protocol.value,
                **others,
            )
            for seed in seeds
        ]
    except ConfigError as err:
        raise typer.BadParameter(str(err)) from err
