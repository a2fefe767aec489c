"""Pages from templates: values from records are always text in them, never markup.

A name that a template uses and that is not there is an error.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipelines.text import markdown, markdown_code, visible, visible_lines

Render = Callable[..., str]


def html_template(name: str, names: Mapping[str, Any]) -> Render:
    """Return what renders a page of HTML.

    Args:
      names: available to the template, in addition to the arguments of a rendering.
    """
    # A browser obeys controls of direction rather than showing them.
    return _template(name, names, visible_lines)


def markdown_template(name: str, names: Mapping[str, Any]) -> Render:
    """Return what renders a page of Markdown, in which blocks are one blank line apart.

    The filter `code` makes a code span of a value, `block` a code block of one line, and `raw`
    leaves it as it is.
    """
    filters = {
        "code": lambda text: _markup(markdown_code(text)),
        "block": lambda text: _markup(f"    {visible(text)}"),
        "raw": _markup,
    }
    render = _template(name, names, lambda text: _markup(markdown(text)), filters)

    def rendered(**values: Any) -> str:
        return re.sub(r"\n{3,}", "\n\n", render(**values).strip("\n")) + "\n"

    return rendered


def _markup(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - escaped for Markdown, not for HTML


def _template(
    name: str,
    names: Mapping[str, Any],
    show: Callable[[str], str],
    filters: Mapping[str, Callable[[str], str]] | None = None,
) -> Render:
    def finalize(value: Any) -> Any:
        is_text = isinstance(value, str) and not isinstance(value, Markup)
        return show(value) if is_text else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    environment.globals.update(names)
    return environment.get_template(name).render
