"""The parameters of the main job, declared once for commands, forms, flows and tasks.

A form offers the values that these types allow, and the server refuses any other when a run is
created. Every check of a single value is declared here; checks that need the data are made by the
work. This module imports nothing heavy, since a command line is built from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, ConfigDict, Field

from pipelines.credentials import SECRET_LOCATION, SECRET_OPTION
from pipelines.notes import NUM_SAMPLES, NUM_SOURCE_SAMPLES

MIB: Final = 2**20
MIN_SAMPLES: Final = 1_000
RANGE_MIB: Final = 128
MAX_QUARANTINED: Final = 0.01
MAX_DROPPED: Final = 0.05


class Runner(StrEnum):
    """Engines that convert; `portable` is any server of Beam's job API."""

    local = "local"
    portable = "portable"
    prism = "prism"
    flink = "flink"
    dataflow = "dataflow"


class ModelName(StrEnum):
    """Architectures that are built in; their values are in `pipelines.architecture`."""

    preliminary = "preliminary"
    optimised = "optimised"
    spectral = "spectral"
    spectral_full = "spectral-full"


class BaselineName(StrEnum):
    """Classifiers that any model should beat; see docs/evaluation.md."""

    majority = "majority"
    nearest_neighbour = "nearest_neighbour"
    logistic_regression = "logistic_regression"


# What the main job trains.
DEFAULT_MODELS: Final = ("preliminary", "optimised")


class Protocol(StrEnum):
    """Use of the notes: which train, choose the epoch and score; see docs/evaluation.md."""

    reference = "reference"
    official = "official"
    grouped = "grouped"
    validation = "validation"


class DenseActivation(StrEnum):
    """Activations of the optimised model's dense layer."""

    leaky_relu = "leaky_relu"
    relu = "relu"
    linear = "linear"


class Stage(StrEnum):
    """The stages of the main job that store results and reuse them."""

    convert = "convert"
    validate = "validate"
    train = "train"
    evaluate = "evaluate"
    analyse = "analyse"
    report = "report"


@dataclass(frozen=True)
class Option:
    """Spelling of a parameter on the command line, where it differs from the name.

    Attributes:
      name: the option with its dashes.
      metavar: placeholder of the value in the help.
      default: text that the help shows in place of the default value.
      is_argument: whether it is given by its place, without a name.
    """

    name: str | None = None
    metavar: str | None = None
    default: str | None = None
    is_argument: bool = False


@dataclass(frozen=True)
class FormNote:
    """Sentence that only a form adds to the description."""

    text: str


# Parameters are stored and shown before the work can refuse them.
_NO_CREDENTIALS: Final = {"not": {"pattern": SECRET_LOCATION}}
# Only the server reads these: the work has better messages, and does not repeat a secret.
_PAIR: Final = {"pattern": r"^-{0,2}[A-Za-z]\w*="}
_NO_SECRET: Final = {"not": {"pattern": SECRET_OPTION}}
UNIQUE: Final = Field(json_schema_extra={"uniqueItems": True})
_ON_WORKER: Final = FormNote(
    "A path is one of the worker's machine, relative to the checkout there."
)

# A value that is not given stays what the architecture says.
_OWN: Final = Option(default="the architecture's own")

Location = Annotated[str, MinLen(1), Field(json_schema_extra=_NO_CREDENTIALS), _ON_WORKER]
BeamOption = Annotated[str, Field(json_schema_extra=_PAIR | _NO_SECRET)]
Change = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*=.")]
ArchitectureFile = Annotated[str, Field(pattern=r"\.(toml|json)$")]
Count = Annotated[int, Ge(1)]
# The largest seed of NumPy is 2**32 - 1.
Seed = Annotated[int, Ge(0), Lt(2**32)]
Share = Annotated[float, Ge(0), Le(1)]
SOURCE: Final = (
    "a TFRecord file (also .gz, .tar), or a folder, .tar or .tar.gz of examples.json and wav "
    "files; a path or a URI, with * for several files."
)


class Request(BaseModel):
    """Parameters as one value; flows and commands have one parameter for each field.

    Pydantic puts the fields of the last base class first.
    """

    model_config = ConfigDict(frozen=True)

    @classmethod
    def part_of(cls, request: "Request", **others: Any) -> Self:
        """Return a request of the fields that `request` has too, and of `others`."""
        names = cls.model_fields.keys() & type(request).model_fields.keys() - others.keys()
        return cls(**{name: getattr(request, name) for name in names}, **others)


class RootRequest(Request):
    """Location of all results."""

    root: Annotated[
        Location,
        Field(description="Folder or URI (s3://bucket/prefix) for data sets, runs and reports."),
    ] = "data"


class ConversionRequest(RootRequest):
    """Parameters of a conversion."""

    runner: Annotated[
        Runner, Field(description="Engine of the conversion; portable is any Beam job server.")
    ] = Runner.local
    beam_options: Annotated[
        tuple[BeamOption, ...],
        UNIQUE,
        Option("--beam-option", metavar="KEY=VALUE"),
        Field(description="Pipeline option of Beam; it wins over the engine's settings."),
    ] = ()
    engine_settings: Annotated[
        Location | None,
        Option(default="infra/engines/<runner>.toml"),
        Field(description="TOML file of the engine's settings."),
    ] = None
    range_mib: Annotated[
        Count,
        Field(
            description="Mebibytes of source that one shard covers; another number makes another "
            "data set."
        ),
    ] = RANGE_MIB
    samples: Annotated[
        int,
        Ge(MIN_SAMPLES),
        Le(NUM_SOURCE_SAMPLES),
        Field(
            description="Samples that each note keeps of its 64,000, which are kept as they are; "
            "another number makes another data set."
        ),
    ] = NUM_SAMPLES
    max_quarantined: Annotated[
        Share, Field(description="Share of damaged records above which a conversion fails.")
    ] = MAX_QUARANTINED


class ValidationRequest(Request):
    """Limit of a validation."""

    max_dropped: Annotated[
        Share,
        Field(
            description="Share of defective notes above which a validation fails; synth_lead does "
            "not count."
        ),
    ] = MAX_DROPPED


class ForceRequest(Request):
    """Stages to repeat."""

    force: Annotated[
        tuple[Stage, ...],
        UNIQUE,
        Option("--force"),
        Field(description="Stage to do again although nothing changed."),
    ] = ()


class BuildRequest(ForceRequest, ValidationRequest, ConversionRequest):
    """Parameters of one data set, from its source to the verdicts on its notes."""

    source: Annotated[Location, Field(description=f"The data: {SOURCE}")]


class TrainingRequest(Request):
    """Hyperparameters and other choices of a training; see `pipelines.experiment.Experiment`."""

    protocol: Annotated[
        Protocol,
        Field(
            description="reference: split the training data by note, score the last epoch on the "
            "test data; official: the validation data choose the epoch; grouped: score each "
            "training note by a model that never saw its instrument; validation: as reference, "
            "but score the validation notes, to choose by."
        ),
    ] = Protocol.reference
    models: Annotated[
        tuple[ModelName | ArchitectureFile, ...],
        MinLen(1),
        UNIQUE,
        Option("--model", metavar=f"[{'|'.join(ModelName)}|FILE.toml]"),
        Field(description="Architecture to train: one that is built in, or a file of one."),
    ] = tuple(map(ModelName, DEFAULT_MODELS))
    epochs: Annotated[Count, Field(description="Passes over the training notes.")] = 10
    batch_size: Annotated[Count, Field(description="Notes per training step.")] = 32
    validation_fraction: Annotated[
        float,
        Gt(0),
        Lt(1),
        Field(
            description="Share of the training notes kept for validation, by family; not used by "
            "the protocol official."
        ),
    ] = 0.33
    train_fraction: Annotated[
        float,
        Gt(0),
        Le(1),
        Field(
            description="Share of the remaining training notes that trains; for learning curves."
        ),
    ] = 1.0
    learning_rate: Annotated[
        Annotated[float, Gt(0)] | None,
        _OWN,
        Field(description="Step size of the optimiser."),
    ] = None
    dropout: Annotated[
        Annotated[float, Ge(0), Lt(1)] | None,
        _OWN,
        Field(description="Share of activations dropped before the dense layers."),
    ] = None
    negative_slope: Annotated[
        Share | None, _OWN, Field(description="Slope of LeakyReLU below zero.")
    ] = None
    dense_activation: Annotated[
        DenseActivation | None,
        _OWN,
        Field(description="Activation of the dense layers before the last."),
    ] = None
    changes: Annotated[
        tuple[Change, ...],
        UNIQUE,
        Option("--set", metavar="FIELD=VALUE"),
        Field(
            description="Field of every model's architecture, such as "
            "fitting.label_smoothing=0.1; docs/exploration.md lists them."
        ),
    ] = ()
    seeds: Annotated[
        tuple[Seed, ...],
        MinLen(1),
        UNIQUE,
        Option("--seed"),
        Field(description="Seed of weights, split and order; one run per seed."),
    ] = (0,)


class TrainRequest(ValidationRequest, TrainingRequest, RootRequest):
    """Parameters of training on data sets that are converted already."""


class ScoreRequest(RootRequest):
    """Notes to score predictions on, and what to compare them with."""

    run: Annotated[
        str | None,
        Option(metavar="RUN"),
        Field(description="Score the notes of this run, as its protocol chose them."),
    ] = None
    dataset: Annotated[
        Location | None,
        Field(description="Score the notes of this data set: its folder or manifest.json."),
    ] = None
    baselines: Annotated[
        tuple[BaselineName, ...],
        UNIQUE,
        Option("--baseline"),
        Field(description="Score this baseline, trained on the notes that train the run."),
    ] = ()
    against: Annotated[
        tuple[str, ...],
        UNIQUE,
        Option(metavar="RUN[:MODEL]"),
        Field(description="Compare with each model of this run, or with one, note by note."),
    ] = ()


class PromotionRequest(Request):
    """Parameters of the promotion to champion."""

    promote: Annotated[
        bool,
        Field(
            description="Whether each model is compared with the champion of its name, on notes "
            "that are held out for that; not with several seeds."
        ),
    ] = True
    margin: Annotated[
        float,
        Ge(0),
        Lt(1),
        Field(description="How much less accurate than the champion a new model may be."),
    ] = 0.0


class SourcesRequest(Request):
    """The data of the main job."""

    train: Annotated[
        Location,
        Field(description=f"Training data, such as nsynth-valid.tfrecord: {SOURCE}"),
    ]
    test: Annotated[
        Location | None,
        Field(
            description="Data that score the models, such as nsynth-test.tfrecord; named as for "
            "train. The protocol grouped takes none."
        ),
    ] = None
    valid: Annotated[
        Location | None,
        Field(
            description="Validation data, which choose the epoch, of the protocol official only; "
            "named as for train."
        ),
    ] = None

    def sources(self) -> dict[str, str]:
        """Return the sources that are given, by name."""
        named = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: source for name, source in named.items() if source is not None}


class RetrainRequest(
    ForceRequest,
    PromotionRequest,
    ValidationRequest,
    ConversionRequest,
    TrainingRequest,
    SourcesRequest,
):
    """Parameters of the main job."""


class ExploreRequest(
    ForceRequest, ValidationRequest, ConversionRequest, TrainingRequest, RootRequest
):
    """Parameters of a study; its trials are scored without test notes."""

    study: Annotated[
        str,
        MinLen(1),
        Option(metavar="STUDY", is_argument=True),
        Field(
            description="ladder: from the preliminary to the optimised model, one change at a "
            "time; leave-one-out: the optimised model without one part each; batch-size, epochs, "
            "samples: the chosen models under other conditions; search: Optuna chooses spectral "
            "models; or a TOML file of one's own."
        ),
    ]
    train: Annotated[Location, Field(description=f"Training data: {SOURCE}")]
    test: Annotated[
        Location | None,
        Field(description="Data that score the chosen trial, once; named as for train."),
    ] = None
    protocol: Annotated[
        Protocol,
        Field(
            description="Notes that trials are scored on: validation, those that validate; "
            "grouped, all training notes, by models that never saw their instruments."
        ),
    ] = Protocol.validation
    models: Annotated[
        tuple[ModelName | ArchitectureFile, ...],
        MinLen(1),
        UNIQUE,
        Option("--model", metavar=f"[{'|'.join(ModelName)}|FILE.toml]"),
        Field(description="Model that batch-size, epochs and samples vary."),
    ] = (ModelName.optimised,)
    num_trials: Annotated[
        Count,
        Field(description="Trials of a search, of all its workers; a higher number continues it."),
    ] = 20
