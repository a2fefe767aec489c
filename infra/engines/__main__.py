"""Install engines into a folder of the checkout, named ones or all: `python -m infra.engines`."""

import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import typer

from infra.engines.components import Part, install_wheel, parts
from infra.engines.settings import folder
from pipelines.engines.remote_workers import one_line

_WAITS_SEC: Final = (5.0, 20.0)


def main(names: Sequence[str]) -> int:
    """Install the components that are missing in this version; print one line per component.

    Returns:
      The exit status: 1 where an installation failed, 2 where a name is unknown. A component whose
      tools are missing is skipped, which is not a failure.
    """
    known = {part.name: part for part in parts()}
    if unknown := [name for name in names if name not in known]:
        typer.echo(f"there is no part {unknown[0]!r}; choose among {', '.join(known)}", err=True)
        return 2
    failed = False
    for part in [known[name] for name in names or known]:
        try:
            typer.echo(f"{part.name}: {_installed(part)}")
        except OSError as err:
            typer.echo(f"{part.name}: failed: {err}", err=True)
            failed = True
    return int(failed)


def _installed(part: Part) -> str:
    """Install a component unless it is there; return what was done."""
    if missing := [name for name in part.needs if not shutil.which(name)]:
        return f"skipped, there is no program {' or '.join(missing)} ({part.what})"
    stamp = _stamp(part)
    is_there = stamp.exists()
    if not is_there:
        folder().mkdir(parents=True, exist_ok=True)
        _patiently(part.install)
        for old in folder().glob(f".{part.name}@*"):
            old.unlink()
    if part.name in ("worker", "dataflow"):
        # The project itself changes more often than what it needs.
        install_wheel(part.name)
    stamp.touch()
    return "is there" if is_there else f"installed, {part.what}"


def _patiently(install: Callable[[], None]) -> None:
    """Install, and try again after a while: failures of a registry are often transient."""
    for wait_sec in _WAITS_SEC:
        try:
            install()
        except OSError as err:
            typer.echo(f"{one_line(str(err))}; trying again in {wait_sec:g} s", err=True)
            time.sleep(wait_sec)
        else:
            return
    install()


def _stamp(part: Part) -> Path:
    digest = hashlib.sha256(part.pins.encode()).hexdigest()[:12]
    return folder() / f".{part.name}@{digest}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        typer.echo("interrupted; run it again to go on", err=True)
        sys.exit(130)
