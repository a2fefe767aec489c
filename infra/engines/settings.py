"""Settings of each engine, and the paths of what `make engines` installed."""

import os
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pipelines import storage
from pipelines.engines.engine import Engine, parse_options
from pipelines.errors import ConfigError
from pipelines.storage import base_note
from pipelines.text import listed

CHECKOUT: Final = Path(__file__).parents[2]

_FOLDER: Final = Path(__file__).parent


def folder() -> Path:
    """Return the folder of all engines: NSYNTH_ENGINES, or `.engines` beside the sources."""
    return Path(os.environ.get("NSYNTH_ENGINES") or CHECKOUT / ".engines").absolute()


def program(name: str) -> Path:
    """Return the path of a program that was built from source."""
    return folder() / "bin" / name


def python(environment: str) -> Path:
    """Return the Python interpreter of an environment."""
    return folder() / environment / "bin" / "python"


def prism() -> str:
    """Return the program Prism: ours, or the installed one; only its name if there is neither."""
    ours = program("prism")
    return str(ours) if ours.exists() else shutil.which("prism") or "prism"


def job_server_jar() -> Path:
    """Return the path of Beam's job server for Flink."""
    return folder() / "flink-job-server" / "job-server.jar"


def load_engine(name: str, *, file: str | None = None, options: Iterable[str] = ()) -> Engine:
    """Return an engine as its settings describe it.

    Args:
      name: one of `pipelines.parameters.Runner`.
      file: settings to read instead of the file of that name in this folder.
      options: `KEY=VALUE` of Beam's options; they win over the file.

    Raises:
      ConfigError: there is no such engine or file, or it holds what is not known or a secret.
    """
    Engine(name)  # an unknown name is reported before all else
    if file:
        storage.refuse_credentials(file)
    path = Path(file) if file else _FOLDER / f"{name}.toml"
    content = _read(path) if file or path.exists() else {}
    chosen = {**content.get("options", {}), **parse_options(options)}
    # A server that runs already knows nothing of this checkout, and refuses a folder it cannot see.
    beam_options = chosen if chosen.get("job_endpoint") else {**_installed(name), **chosen}
    return Engine(name, beam_options, shares_disk=content.get("shares_disk", False))


def _installed(name: str) -> Mapping[str, Any]:
    """Return the options that name the programs of this checkout which Beam starts."""
    if name == "prism":
        return {"prism_location": prism()}
    if name == "flink":
        return {
            "flink_job_server_jar": str(job_server_jar()),
            "flink_conf_dir": str(_FOLDER / "flink-conf"),
        }
    return {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        note = base_note(str(path))
        raise ConfigError(f"cannot read the settings {path}: {err.strerror}{note}") from err
    except ValueError as err:
        raise ConfigError(f"{path} is no TOML: {err}") from err
    kinds = {"options": dict, "shares_disk": bool}
    wrong = [key for key, value in content.items() if not isinstance(value, kinds.get(key, ()))]
    if wrong:
        raise ConfigError(
            f"{path} may hold shares_disk = true or false and a table [options] of Beam's options; "
            f"it has {listed(wrong)}"
        )
    return content
