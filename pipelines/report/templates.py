"""Pages from templates: what comes from records is text in them, and a missing name is an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2


def template(name: str, names: Mapping[str, Any]) -> jinja2.Template:
    """A template of this package.

    Args:
      names: what it may call, beside what it is rendered with.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(names)
    return environment.get_template(name)
