"""Architectures as values: a model's layers, its loss and its optimiser, without Keras.

A value checks itself, has a digest, and is part of a run's identity; `pipelines.train.model` builds
it. A new architecture is one more value here, or a TOML file of the same fields.

Source of the two reference architectures: A. Jamal, U. Karda, O. Sarde (Rochester Institute of
Technology), two 1-D CNNs on NSynth.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.parameters import DenseActivation
from pipelines.records import check_name, digest

# A file of an architecture is a few hundred bytes.
_MAX_BYTES: Final = 2**16

Size = Annotated[int, Ge(1), Le(2**16)]
Rate = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0), Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Ge(0), Field(allow_inf_nan=False)]


class Activation(StrEnum):
    """Activations of convolutions; `negative_slope` is that of leaky_relu."""

    relu = "relu"
    leaky_relu = "leaky_relu"
    gelu = "gelu"
    linear = "linear"


class Pooling(StrEnum):
    """How the last block's output becomes a vector.

    `average` and `maximum` are over time, and over frequency where there is one; `time_average`
    keeps the frequencies apart; `flatten` keeps all.
    """

    average = "average"
    maximum = "maximum"
    time_average = "time_average"
    flatten = "flatten"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spectrogram(_Value):
    """A log spectrogram of the level-normalised waveform, computed inside the model.

    Attributes:
      window: samples per frame, a Hann window.
      hop: samples between two frames.
      mel_bands: bands on the mel scale; None keeps the window's own frequencies.
      floor: added to the power per frequency of a note whose mean power is 1.
    """

    window: Annotated[int, Ge(16), Le(2**14)] = 256
    hop: Size = 64
    mel_bands: Annotated[int, Ge(8), Le(512)] | None = None
    floor: Positive = 4e-8


class Block(_Value):
    """A convolution, its activation and what follows it; 2-D after a spectrogram.

    Attributes:
      kernel_size: samples, or frames and bands.
      stride: step of the convolution; above 1 or with a batch norm it pads the borders.
      pool: max pooling after the activation, 1 for none; of frames and bands, where they differ.
      batch_norm: normalise before the activation; the convolution has no bias then.
    """

    filters: Size
    kernel_size: Size = 2
    activation: Activation = Activation.relu
    stride: Size = 1
    pool: Size | tuple[Size, Size] = 1
    batch_norm: bool = False


class Head(_Value):
    """Layers between the last block and the softmax.

    Attributes:
      dropout: share of activations dropped before the dense layers; None for no such layer.
      dense: units of dense layers before the last one.
    """

    pooling: Pooling = Pooling.average
    dropout: Rate | None = None
    dense: tuple[Size, ...] = ()
    dense_activation: DenseActivation = DenseActivation.leaky_relu


class Augmentation(_Value):
    """Random changes of training notes; each is drawn per note from seed, epoch and step.

    Attributes:
      delay: longest shift to later, as a share of the note; what is pushed out is lost.
      gain_db: largest change of level, up or down, in decibels.
      tilt_db: largest rise or fall of the spectrum from 0 Hz to the highest frequency, in decibels.
      noise_db: level of white noise relative to the note, at most; None for none.
      frequency_mask: widest band that is silenced, as a share of all frequencies.
      time_mask: longest stretch that is silenced, as a share of the note.
      mixup: parameter of the beta distribution by which two notes of equal level are mixed; 0 for
        none.
    """

    delay: Rate = 0.0
    gain_db: NotNegative = 0.0
    tilt_db: NotNegative = 0.0
    noise_db: Annotated[float, Lt(0), Ge(-120)] | None = None
    frequency_mask: Rate = 0.0
    time_mask: Rate = 0.0
    mixup: Annotated[float, Ge(0), Le(10)] = 0.0


class Fitting(_Value):
    """The loss, and how the optimiser follows it.

    Attributes:
      learning_rate: the highest of a training; with `cosine` it rises for a tenth of the steps and
        falls to a hundredth after.
      weight_decay: of adamw.
      label_smoothing: share of each label that is spread over all families.
    """

    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: NotNegative = 0.0
    label_smoothing: Rate = 0.0
    augmentation: Augmentation = Augmentation()

    @property
    def needs_probabilities(self) -> bool:
        """Return whether the loss compares probabilities of all classes, not one label a note."""
        return self.label_smoothing > 0 or self.augmentation.mixup > 0


class Architecture(_Value):
    """One model: waveform or spectrogram, convolutions, pooling, dense layers, and its fitting.

    Attributes:
      name: name of the model in runs, reports and the registry.
      spectrogram: None where the convolutions see the waveform.
      blocks: in their order.
      negative_slope: of every LeakyReLU.
    """

    name: Annotated[str, AfterValidator(check_name), Len(1, 60)]
    spectrogram: Spectrogram | None = None
    blocks: Annotated[tuple[Block, ...], Len(1, 20)]
    head: Head = Head()
    negative_slope: Annotated[float, Ge(0), Le(1)] = 0.2
    fitting: Fitting = Fitting()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.spectrogram is None and any(isinstance(one.pool, tuple) for one in self.blocks):
            raise ValueError("a pool of two numbers needs a spectrogram")
        if self.fitting.weight_decay and self.fitting.optimiser != "adamw":
            raise ValueError("weight_decay needs the optimiser adamw")
        if self.head.pooling is Pooling.time_average and self.spectrogram is None:
            raise ValueError("time_average needs a spectrogram; without one, average is the same")
        return self

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all fields."""
        return digest(self.model_dump(mode="json"))

    def change(self, **changes: Any) -> "Architecture":
        """Return a copy with other values, checked.

        Args:
          changes: values by field; a mapping changes single fields of the value there.

        Raises:
          ConfigError: a value is not valid, or there is no such field.
        """
        return _read(merge(self.model_dump(mode="json"), changes), where=f"the model {self.name}")


PRELIMINARY: Final = Architecture(
    name="preliminary", blocks=(Block(filters=64), Block(filters=64)), head=Head()
)
OPTIMISED: Final = Architecture(
    name="optimised",
    blocks=(
        Block(filters=64, activation=Activation.leaky_relu),
        Block(filters=32, activation=Activation.leaky_relu),
        Block(filters=92, activation=Activation.leaky_relu, pool=2),
    ),
    head=Head(pooling=Pooling.flatten, dropout=0.5, dense=(24,)),
)


def _spectral(name: str, spectrogram: Spectrogram) -> Architecture:
    """Return a small 2-D CNN whose last layer sees each frequency's average over time."""
    blocks = tuple(
        Block(filters=filters, kernel_size=3, stride=stride, pool=2, batch_norm=True)
        for filters, stride in ((24, 2), (48, 1), (64, 1), (96, 1))
    )
    fitting = Fitting(
        optimiser="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        weight_decay=1e-3,
        label_smoothing=0.1,
        augmentation=Augmentation(mixup=0.1),
    )
    head = Head(pooling=Pooling.time_average, dropout=0.3)
    return Architecture(
        name=name, spectrogram=spectrogram, blocks=blocks, head=head, fitting=fitting
    )


# For 8,000 samples a note, which are of 2 kHz, and for the 64,000 of the source, of 16 kHz.
# docs/results.md says how their values were chosen.
SPECTRAL: Final = _spectral("spectral", Spectrogram(window=256, hop=128))
SPECTRAL_FULL: Final = _spectral(
    "spectral-full", Spectrogram(window=1024, hop=512, mel_bands=64, floor=4e-6)
)

BUILT_IN: Final[Mapping[str, Architecture]] = MappingProxyType(
    {str(one.name): one for one in (PRELIMINARY, OPTIMISED, SPECTRAL, SPECTRAL_FULL)}
)
# Their runs are identified by their names alone, as they were before there were others.
REFERENCES: Final = (PRELIMINARY, OPTIMISED)


def load_architecture(uri: str) -> Architecture:
    """Read an architecture from a TOML file, or a JSON file as runs store it.

    Fields that are missing have their defaults; `base = "optimised"` takes all others from a model
    that is built in.

    Raises:
      ConfigError: the file cannot be read, a value is not valid, or the name is taken.
    """
    try:
        data = storage.read(uri)
        content = json.loads(data) if uri.endswith(".json") else tomllib.loads(data.decode())
    except (OSError, ValueError, ConfigError) as err:
        raise ConfigError(f"cannot read the architecture {uri}: {err}") from err
    if len(data) > _MAX_BYTES or not isinstance(content, dict):
        raise ConfigError(f"{uri} is not an architecture; see docs/exploration.md")
    base = content.pop("base", None)
    if base is not None:
        if base not in BUILT_IN:
            raise ConfigError(f"{uri} has base {base!r}; expected one of {', '.join(BUILT_IN)}")
        content = merge(BUILT_IN[base].model_dump(mode="json"), content)
    architecture = _read(content, where=uri)
    is_own = uri.endswith(".toml")
    if is_own and BUILT_IN.get(architecture.name, architecture) != architecture:
        raise ConfigError(
            f"{uri} names itself {architecture.name}, which is built in and differs; choose "
            "another name"
        )
    return architecture


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Return changes of an architecture from texts such as `head.dropout=0.1`, values as in TOML.

    Raises:
      ConfigError: one is not of that form.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        field, _, value = text.partition("=")
        try:
            parsed = tomllib.loads(f"{field} = {value}")
        except ValueError:
            # A word, which TOML has in quotes.
            try:
                parsed = tomllib.loads(f"{field} = {json.dumps(value)}")
            except ValueError as err:
                raise ConfigError(
                    f"expected FIELD=VALUE, such as head.dropout=0.1, got {text!r}"
                ) from err
        changes = merge(changes, parsed)
    return changes


def _read(content: Mapping[str, Any], *, where: str) -> Architecture:
    try:
        return Architecture.model_validate(content)
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ConfigError(f"{where} is not an architecture: {place}: {first['msg']}") from err


def merge(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with changes, which go into mappings and replace everything else."""
    merged = dict(fields)
    for name, value in changes.items():
        old = merged.get(name)
        is_nested = isinstance(old, dict) and isinstance(value, Mapping)
        merged[name] = merge(old, value) if is_nested else value  # type: ignore[arg-type]
    return merged


def names_a_file(model: str) -> bool:
    """Return whether the name of a model is the location of an architecture."""
    return model.endswith((".toml", ".json"))
