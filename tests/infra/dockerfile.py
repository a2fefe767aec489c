"""A Dockerfile as far as this project's need it: stages, and the steps of each."""

import re
from pathlib import Path

Step = tuple[str, str]
"""An instruction, and what follows it on its line."""


def stages(path: Path) -> dict[str, list[Step]]:
    """The steps of each named stage, those of the stage it begins with before its own."""
    found: dict[str, list[Step]] = {}
    steps: list[Step] = []
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            steps = found[name] = list(found.get(base, []))
        steps.append((word, rest))
    return found
