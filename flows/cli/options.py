"""The options of the commands: built from the requests, read from a file, or declared here."""

import difflib
import inspect
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import typer
from annotated_types import Ge, Le
from pydantic import ValidationError

from pipelines.errors import ConfigError
from pipelines.experiment import experiments_of
from pipelines.parameters import (
    FormNote,
    Option,
    PromotionRequest,
    Request,
    RootRequest,
    TrainingRequest,
    ValidationRequest,
)

RequestT = TypeVar("RequestT", bound=Request)

ROOT_VARIABLE: Final = "NSYNTH_ROOT"
_METAVARS: Final = {int: "N", float: "X", str: "TEXT"}


def with_options(
    request: type[RequestT],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of its request, and `--config` for a file of them.

    The command takes the request first, then what it declares itself, `as_json` last.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def parsed(*, config: object = None, **arguments: Any) -> None:
            del config  # `_read_config` has read it before the other options
            fields = {name: _frozen(arguments.pop(name)) for name in request.model_fields}
            command(read_request(request, fields), **arguments)

        own = list(inspect.signature(command).parameters.values())[1:]
        options = [_parameter(request, name) for name in request.model_fields]
        *own, as_json = own
        parameters = [*options, *own, _keyword("config", Config, None), as_json]
        vars(parsed)["__signature__"] = inspect.Signature(
            sorted(parameters, key=lambda one: one.default is not inspect.Parameter.empty)
        )
        parsed.__annotations__ = {one.name: one.annotation for one in parameters}
        return parsed

    return decorate


def read_request(request: type[RequestT], fields: Mapping[str, Any]) -> RequestT:
    """Return the request that a command line gives.

    Raises:
      BadParameter: a value is out of bounds, or values do not go together.
    """
    if issubclass(request, TrainingRequest):
        try:
            # Its messages are better than what the type of one field can say.
            experiments_of(request.model_construct(None, **fields))
        except ConfigError as err:
            raise typer.BadParameter(str(err)) from err
    try:
        return request(**fields)
    except ValidationError as err:
        first = err.errors()[0]
        name = str(first["loc"][0])
        name = _spelling(request, name).name or f"--{name.replace('_', '-')}"
        # The value is left out, since it may hold a secret.
        raise typer.BadParameter(f"{name}: {first['msg']}") from err


def option(request: type[Request], name: str) -> Any:
    """Return the option of one field, for an annotation that Typer reads."""
    field = request.model_fields[name]
    hint = get_type_hints(request, include_extras=True)[name]
    plain, is_list, _ = _plain(hint)
    spelling = _spelling(request, name)
    more: dict[str, Any] = {}
    for extra in field.metadata:
        more |= {"min": extra.ge} if isinstance(extra, Ge) else {}
        more |= {"max": extra.le} if isinstance(extra, Le) else {}
    if plain is not bool:
        is_path = any(isinstance(extra, FormNote) for extra in _metadata(hint))
        more["metavar"] = spelling.metavar or _metavar(plain, is_path)
    if name == "root":
        more["envvar"] = ROOT_VARIABLE
    if spelling.default:
        more["show_default"] = spelling.default
    text = f"{field.description}{' May be repeated.' if is_list else ''}"
    if spelling.is_argument:
        return typer.Argument(help=text, **more)
    return typer.Option(*filter(None, [spelling.name]), help=text, **more)


def _parameter(request: type[Request], name: str) -> inspect.Parameter:
    field = request.model_fields[name]
    plain, is_list, is_optional = _plain(get_type_hints(request, include_extras=True)[name])
    kind: Any = list[plain] if is_list else plain | None if is_optional else plain  # type: ignore[valid-type]
    default: Any = inspect.Parameter.empty if field.is_required() else field.default
    return _keyword(
        name, Annotated[kind, option(request, name)], list(default) if is_list else default
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _keyword(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _spelling(request: type[Request], name: str) -> Option:
    extras = request.model_fields[name].metadata
    return next((extra for extra in extras if isinstance(extra, Option)), Option())


def _plain(hint: Any) -> tuple[type, bool, bool]:
    """Return the type without constraints, whether it is a list, and whether it is optional."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    parts = get_args(hint)
    if get_origin(hint) is tuple:
        return _plain(parts[0])[0], True, False
    kinds = {_plain(part)[0] for part in parts if part is not NoneType}
    if kinds:
        # Of a name or a file, which the request tells apart.
        return kinds.pop() if len(kinds) == 1 else str, False, NoneType in parts
    return hint, False, False


def _metadata(hint: Any) -> Iterator[Any]:
    for part in get_args(hint):
        yield part
        yield from _metadata(part)


def _metavar(plain: type, is_path: bool) -> str:
    if issubclass(plain, StrEnum):
        return f"[{'|'.join(plain)}]"
    return "PATH" if is_path else _METAVARS[plain]


def _read_config(context: typer.Context, path: str | None) -> None:
    """Read defaults from a file; options of the command line replace them.

    Raises:
      BadParameter: the file cannot be read, or has a key that is not an option.
    """
    if path is None:
        return
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise typer.BadParameter(f"cannot read {path}: {reason}") from err
    others = ("config", "as_json", "help")
    options = [one for one in context.command.params if one.name not in others]
    names = {
        spelling: one
        for one in options
        for spelling in (str(one.name), *(text.lstrip("-").replace("-", "_") for text in one.opts))
    }
    defaults: dict[str, Any] = {}
    for key, value in content.items():
        one = names.get(key.replace("-", "_"))
        if one is None:
            near = difflib.get_close_matches(key.replace("-", "_"), names, n=1, cutoff=0)
            raise typer.BadParameter(
                f"{path} has {key!r}, which is not an option of {context.info_name}; "
                f"the nearest is {near[0]!r}"
            )
        is_list = getattr(one, "multiple", False) and not isinstance(value, list)
        defaults[str(one.name)] = [value] if is_list else value
    context.default_map = {**(context.default_map or {}), **defaults}


Config = Annotated[
    str | None,
    typer.Option(
        callback=_read_config,
        is_eager=True,
        metavar="FILE",
        help="TOML file of these options, such as epochs = 20; the command line wins.",
    ),
]
Root = Annotated[str, option(RootRequest, "root")]
Margin = Annotated[float, option(PromotionRequest, "margin")]
Dropped = Annotated[float, option(ValidationRequest, "max_dropped")]
JobEndpoint = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Address of a running Beam job server."),
]
Force = Annotated[bool, typer.Option("--force", help="Convert again what is stored already.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
]


def add_beam_options(pairs: Sequence[str], **named: str | None) -> list[str]:
    """Return Beam options as KEY=VALUE, in which a command's own option replaces one of `pairs`.

    Args:
      named: values by Beam's names; None where the command was not given one.
    """
    own = {name: value for name, value in named.items() if value}
    others = [pair for pair in pairs if pair.lstrip("-").partition("=")[0] not in own]
    return [*others, *(f"{name}={value}" for name, value in own.items())]
