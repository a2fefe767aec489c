"""Flows with one parameter for each field of a request, which the form shows with its help."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, get_args, get_type_hints

from pipelines.parameters import FormNote, Request

RequestT = TypeVar("RequestT", bound=Request)
T = TypeVar("T")


def takes(request: type[RequestT]) -> Callable[[Callable[[RequestT], T]], Callable[..., T]]:
    """Replace the request that a function takes by one keyword parameter per field.

    Prefect reads signature and docstring for the form of a deployment, whose parameters are then
    flat: `prefect deployment run ... -p train=FILE`.
    """

    def decorate(function: Callable[[RequestT], T]) -> Callable[..., T]:
        @wraps(function)
        def flat(**fields: Any) -> T:
            return function(request(**fields))

        signature = inspect.signature(function)
        vars(flat)["__signature__"] = signature.replace(parameters=list(_parameters(request)))
        flat.__annotations__ = {}
        flat.__doc__ = f"{inspect.getdoc(function)}\n\nArgs:\n" + "\n".join(_descriptions(request))
        return flat

    return decorate


def _parameters(request: type[Request]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(request, include_extras=True)
    for name, field in request.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name]
        )


def _descriptions(request: type[Request]) -> Iterator[str]:
    hints = get_type_hints(request, include_extras=True)
    for name, field in request.model_fields.items():
        text = " ".join([str(field.description), *_notes(hints[name])])
        yield textwrap.indent(f"{name}: {text}", "  ")


def _notes(hint: Any) -> Iterator[str]:
    """Yield the sentences that only a form shows, wherever in the type they are declared."""
    for part in get_args(hint):
        if isinstance(part, FormNote):
            yield part.text
        else:
            yield from _notes(part)
