"""A jar that holds nothing but the list of the jars beside it, so that `java -jar` finds them."""

import zipfile
from pathlib import Path

_LINE_BYTES = 72
"""No line of a manifest is longer; one that goes on begins with a space.

Source: the JAR file specification."""


def manifest_jar(path: Path, *, main_class: str) -> None:
    """Writes the jar, for all other jars of its folder.

    Args:
      main_class: what `java -jar` starts.
    """
    others = sorted(jar.name for jar in path.parent.glob("*.jar") if jar != path)
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {main_class}",
        *_folded(f"Class-Path: {' '.join(others)}"),
    ]
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "\r\n".join(lines) + "\r\n\r\n")


def _folded(line: str) -> list[str]:
    first, rest = line[: _LINE_BYTES - 2], line[_LINE_BYTES - 2 :]
    size = _LINE_BYTES - 3
    return [first, *(f" {rest[at : at + size]}" for at in range(0, len(rest), size))]
