"""Pages from templates: what comes from records is text in them, and a missing name is an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipelines.text import visible_lines


def template(name: str, names: Mapping[str, Any]) -> jinja2.Template:
    """A template of this package.

    Args:
      names: what it may call, beside what it is rendered with.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(names)
    return environment.get_template(name)


def _visible(value: Any) -> Any:
    """Show what a browser would obey rather than show, such as controls of direction."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return visible_lines(value) if is_text else value
