"""Engines by name, and the Beam options of each; does not import Beam."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pipelines.credentials import is_secret_option
from pipelines.errors import ConfigError
from pipelines.parameters import Runner

_OWN_PROCESS: Final = "LOOPBACK"
_EMBEDDED_FLINK: Final = ("[local]", "[auto]")


@dataclass(frozen=True)
class Engine:
    """A runner of Beam and its options.

    Raises:
      ConfigError: there is no such engine, or an option holds a secret.

    Attributes:
      name: one of `Runner`.
      options: Beam's pipeline options, by Beam's own names.
      shares_disk: whether its workers see this machine's files under the same paths.
    """

    name: str = "local"
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    shares_disk: bool = False

    def __post_init__(self) -> None:
        if self.name not in list(Runner):
            raise ConfigError(f"there is no runner {self.name!r}; choose {_either(list(Runner))}")
        _refuse_secrets(self.options)

    def text(self, option: str) -> str:
        """Return an option as text; empty if it is not set."""
        return str(self.options.get(option) or "")

    @property
    def is_flink_embedded(self) -> bool:
        """Return whether Flink runs inside the job server that this job starts."""
        master = self.text("flink_master") or _EMBEDDED_FLINK[0]
        return self.name == "flink" and master in _EMBEDDED_FLINK and not self.text("job_endpoint")

    @property
    def is_on_flink_cluster(self) -> bool:
        """Return whether a Flink cluster is named."""
        master = self.text("flink_master")
        return self.name == "flink" and master not in ("", *_EMBEDDED_FLINK)

    @property
    def has_remote_workers(self) -> bool:
        """Return whether other processes convert the ranges."""
        if self.name in ("local", "dataflow"):
            return self.name == "dataflow"
        by_default = _OWN_PROCESS if self.name == "prism" or self.is_flink_embedded else "DOCKER"
        return (self.text("environment_type") or by_default).upper() != _OWN_PROCESS

    @property
    def is_loopback(self) -> bool:
        """Return whether workers are threads of this process to which the engine connects."""
        return self.name != "local" and not self.has_remote_workers

    @property
    def template(self) -> str:
        """Return the location of the template to write; empty to run the job now."""
        return self.text("template_location")

    def flags(self) -> list[str]:
        """Return the options in the form of Beam's command line, sorted by name."""
        return [flag for name in sorted(self.options) for flag in _flags(name, self.options[name])]


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse Beam options from `KEY=VALUE`, with or without leading dashes.

    `true` and `false` are switches; a repeated key becomes a list.

    Raises:
      ConfigError: one of them has no key or no `=`, or is a secret: options are stored and shown.
    """
    found: dict[str, Any] = {}
    given = list(pairs)
    for number, pair in enumerate(given, start=1):
        match = re.fullmatch(r"-{0,2}([A-Za-z]\w*)=(.*)", pair, re.DOTALL)
        if not match:
            # The text is not repeated: without a key it may be a secret.
            which = "another form" if len(given) == 1 else f"option {number} in another form"
            raise ConfigError(
                f"expected a Beam option as KEY=VALUE, with letters, digits and _ in KEY, got "
                f"{which}; correct it"
            )
        key, value = match[1], _switch(match[2])
        found[key] = [*_listed(found[key]), value] if key in found else value
    _refuse_secrets(found)
    return found


def _refuse_secrets(options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if any(is_secret_option(f"{key}={item}") for item in _listed(value)):
            raise ConfigError(
                f"the Beam option {key} holds a secret, and options are stored and shown: set "
                "it in the environment of the workers"
            )


def _flags(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={item}" for item in _listed(value)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _switch(text: str) -> str | bool:
    return {"true": True, "false": False}.get(text.lower(), text)


def _either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


LOCAL: Final = Engine()
