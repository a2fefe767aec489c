"""Studies: experiments that differ in one thing at a time, to decide which change is worth it.

A study is a list of trials; each trial is an ordinary run. What a trial changes and which trial it
is compared with are part of the value, so that a page can say what each change gains.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from pipelines import storage
from pipelines.architecture import (
    BUILT_IN,
    OPTIMISED,
    PRELIMINARY,
    Activation,
    Architecture,
    Block,
    Pooling,
    merge,
)
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.notes import NUM_SAMPLES

LADDER: Final = "ladder"
LEAVE_ONE_OUT: Final = "leave-one-out"
BATCH_SIZE: Final = "batch-size"
EPOCHS: Final = "epochs"
SAMPLES: Final = "samples"

BATCH_SIZES: Final = (8, 16, 32, 64, 128)
LENGTHS: Final = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000)


@dataclass(frozen=True)
class Trial:
    """One experiment of a study, with one model.

    Attributes:
      name: unique in its study.
      change: what it changes from its base, in words; empty for a trial without one.
      base: name of the trial that it is compared with, which comes earlier; None for the first.
      num_samples: samples per note of the data set that it needs.
      finding: the name of the reference's finding that the change tests; empty where none.
      removes: whether the change takes away the part that the finding is about.
    """

    name: str
    experiment: Experiment
    change: str = ""
    base: str | None = None
    num_samples: int = NUM_SAMPLES
    finding: str = ""
    removes: bool = False

    @property
    def model(self) -> str:
        """Return the name of the only model."""
        return self.experiment.models[0]


@dataclass(frozen=True)
class Study:
    """Trials in the order in which they run.

    Attributes:
      question: what the study decides, in one sentence.
    """

    name: str
    question: str
    trials: tuple[Trial, ...]

    def __post_init__(self) -> None:
        names = [trial.name for trial in self.trials]
        if len(set(names)) < len(names) or not names:
            raise ConfigError(f"the study {self.name} must have trials of different names")
        for place, trial in enumerate(self.trials):
            if trial.base is not None and trial.base not in names[:place]:
                raise ConfigError(f"the trial {trial.name} must come after its base {trial.base}")


def ladder(experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return the steps from the preliminary to the optimised model, one change at a time."""
    leaky = [Block(filters=64, activation=Activation.leaky_relu)] * 2
    narrow = [leaky[0], leaky[1].model_copy(update={"filters": 32})]
    third = [*narrow, OPTIMISED.blocks[2].model_copy(update={"pool": 1})]
    steps: Sequence[tuple[str, str, str, Mapping[str, Any]]] = (
        ("leaky-relu", "LeakyReLU in place of ReLU", "activation", {"blocks": leaky}),
        ("widths", "32 filters in the second convolution", "", {"blocks": narrow}),
        ("third-convolution", "a third convolution of 92 filters", "capacity", {"blocks": third}),
        ("max-pooling", "max pooling by 2", "pooling_and_dropout", {"blocks": OPTIMISED.blocks}),
        (
            "dense-24",
            "flatten and a dense layer of 24 in place of the average over time",
            "dense_layer",
            {"head": {"pooling": Pooling.flatten, "dense": (24,)}},
        ),
        ("optimised", "dropout of one half", "pooling_and_dropout", {"head": {"dropout": 0.5}}),
    )
    trials, architecture = [_trial(PRELIMINARY, experiment, num_samples)], PRELIMINARY
    for name, change, finding, fields in steps:
        architecture = architecture.change(name=name, **_plain(fields))
        base = trials[-1].name
        trial = _trial(architecture, experiment, num_samples)
        trials.append(replace(trial, change=change, base=base, finding=finding))
    return Study(LADDER, "What does each step to the optimised model gain?", tuple(trials))


def leave_one_out(experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return the optimised model, and the same without one of its parts each."""
    blocks = OPTIMISED.blocks
    relu = [block.model_copy(update={"activation": Activation.relu}) for block in blocks]
    wide = [blocks[0], blocks[1].model_copy(update={"filters": 64}), blocks[2]]
    unpooled = [*blocks[:2], blocks[2].model_copy(update={"pool": 1})]
    shallow = [blocks[0], blocks[1].model_copy(update={"pool": 2})]
    average = {"pooling": Pooling.average, "dense": ()}
    changes: Sequence[tuple[str, str, str, Mapping[str, Any]]] = (
        ("relu", "ReLU in place of LeakyReLU", "activation", {"blocks": relu}),
        ("wide", "64 filters in the second convolution", "", {"blocks": wide}),
        ("two-convolutions", "no third convolution", "capacity", {"blocks": shallow}),
        ("no-max-pooling", "no max pooling", "pooling_and_dropout", {"blocks": unpooled}),
        (
            "no-dense-layer",
            "no dense layer before the last",
            "dense_layer",
            {"head": {"dense": ()}},
        ),
        ("average", "the average over time, no flatten, no dense layer", "", {"head": average}),
        ("no-dropout", "no dropout", "pooling_and_dropout", {"head": {"dropout": None}}),
    )
    first = _trial(OPTIMISED, experiment, num_samples)
    others = [
        replace(
            _trial(OPTIMISED.change(name=name, **_plain(fields)), experiment, num_samples),
            change=change,
            base=first.name,
            finding=finding,
            removes=bool(finding),
        )
        for name, change, finding, fields in changes
    ]
    return Study(
        LEAVE_ONE_OUT, "What does each part of the optimised model contribute?", (first, *others)
    )


def batch_sizes(experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return trials of several batch sizes, at the same epochs and at the same updates."""
    size, trials = experiment.batch_size, list[Trial]()
    for model in experiment.models:
        first = _trial(experiment.architecture(model), experiment, num_samples)
        first = replace(first, name=f"{model}-{size}", finding="batch_size")
        trials.append(first)
        for other in BATCH_SIZES:
            epochs = max(1, round(experiment.epochs * other / size))
            for suffix, num in (("epochs", experiment.epochs), ("updates", epochs)):
                changed = replace(first.experiment, batch_size=other, epochs=num)
                trials.append(
                    replace(
                        first,
                        name=f"{model}-{other}-same-{suffix}",
                        experiment=changed,
                        change=f"batches of {other}, {num} epochs",
                        base=first.name,
                        finding="batch_size",
                    )
                )
    # The size of the first has both already.
    rest = [trial for trial in trials if trial.base is None or trial.experiment.batch_size != size]
    return Study(BATCH_SIZE, "Does the batch size change the accuracy?", tuple(rest))


def epochs(experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return a long training of each model, whose history says when it converged."""
    trials = tuple(
        _trial(experiment.architecture(model), experiment, num_samples)
        for model in experiment.models
    )
    return Study(EPOCHS, "After how many epochs does a model gain no more?", trials)


def lengths(experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return each model on notes of several lengths in samples, up to `num_samples`."""
    wanted = [length for length in LENGTHS if length <= num_samples] or [num_samples]
    trials = []
    for model in experiment.models:
        own = [
            replace(
                _trial(experiment.architecture(model), experiment, length),
                name=f"{model}-{length}",
                change=f"{length:,} samples a note",
                finding="length",
            )
            for length in wanted
        ]
        trials.append(replace(own[0], change=""))
        trials += [replace(after, base=before.name) for before, after in pairwise(own)]
    return Study(SAMPLES, "How many samples a note does a model need?", tuple(trials))


# By the name that a command takes.
STUDIES: Final[Mapping[str, Callable[..., Study]]] = MappingProxyType(
    {
        LADDER: ladder,
        LEAVE_ONE_OUT: leave_one_out,
        BATCH_SIZE: batch_sizes,
        EPOCHS: epochs,
        SAMPLES: lengths,
    }
)


def make_study(name: str, experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> Study:
    """Return a study by its name, or the one that a TOML file describes.

    Args:
      experiment: gives protocol, seed, epochs and the models that some studies vary.

    Raises:
      ConfigError: there is no such study, the file is not one, or the protocol scores test notes.
    """
    check_protocol(experiment)
    if name in STUDIES:
        return STUDIES[name](experiment, num_samples=num_samples)
    if name.endswith(".toml"):
        return _read_study(name, experiment, num_samples)
    raise ConfigError(
        f"there is no study {name!r}; expected one of {', '.join(STUDIES)}, search, or a .toml file"
    )


def check_protocol(experiment: Experiment) -> None:
    """Check that the trials of a study are not scored on test notes.

    Raises:
      ConfigError: they would be.
    """
    if experiment.takes_test_data:
        raise ConfigError(
            f"a study with the protocol {experiment.protocol} would choose by test notes; use "
            "validation or grouped"
        )


def _read_study(uri: str, experiment: Experiment, num_samples: int) -> Study:
    """Read a study of one's own: `base`, and one table `trials` for each change.

    Each trial is a name, the fields of the architecture that change, and under `experiment` those
    of the experiment (epochs, batch_size).
    """
    try:
        content = tomllib.loads(storage.read(uri).decode())
        base = BUILT_IN[content.get("base", OPTIMISED.name)]
        first = _trial(base, experiment, num_samples)
        trials = [first]
        for fields in content["trials"]:
            change = dict(fields)
            name, words = change.pop("name"), change.pop("change", "")
            own = replace(experiment, **change.pop("experiment", {}))
            architecture = base.change(**merge({"name": name}, change))
            trial = _trial(architecture, own, num_samples)
            trials.append(replace(trial, name=name, change=words or name, base=first.name))
        return Study(
            content.get("name", storage.name(uri).removesuffix(".toml")),
            content.get("question", "Which change gains something?"),
            tuple(trials),
        )
    except (OSError, ValueError) as err:
        raise ConfigError(f"cannot read the study {uri}: {err}") from err
    except (KeyError, TypeError) as err:
        raise ConfigError(
            f"{uri} is not a study: {err}; expected base, and tables [[trials]] with a name and "
            "the fields that change"
        ) from err


def _trial(architecture: Architecture, experiment: Experiment, num_samples: int) -> Trial:
    own = experiment.with_architecture(architecture)
    return Trial(architecture.name, own, num_samples=num_samples)


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes as JSON has them."""
    return {
        name: [block.model_dump(mode="json") for block in value] if name == "blocks" else value
        for name, value in fields.items()
    }
