"""What the flows may be asked for: the types behind the forms of their deployments.

A form offers what these types allow, and the server refuses any other value when a run is created;
so all that one value alone can tell is said here, and what takes the data is left to the work.
"""

from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import Field

from pipelines.credentials import SECRET_LOCATION, SECRET_OPTION

MIB: Final = 2**20

# Parameters are stored and shown before the work can refuse them.
_NO_CREDENTIALS: Final = {"not": {"pattern": SECRET_LOCATION}}
_NO_SECRET: Final = {"not": {"pattern": SECRET_OPTION}}

Location = Annotated[str, MinLen(1), Field(json_schema_extra=_NO_CREDENTIALS)]
"""A path, relative to the checkout, or any fsspec URI."""

ModelName = Literal["preliminary", "optimised"]

Models = Annotated[list[ModelName], MinLen(1), Field(json_schema_extra={"uniqueItems": True})]

Runner = Literal["local", "portable", "prism", "flink", "dataflow"]

BeamOptions = Annotated[
    list[Annotated[str, Field(pattern=r"^-{0,2}[A-Za-z]\w*=", json_schema_extra=_NO_SECRET)]],
    Field(json_schema_extra={"uniqueItems": True}),
]
"""KEY=VALUE each, by Beam's own names."""

Stage = Literal["convert", "validate", "train", "evaluate", "analyse", "report"]

Stages = Annotated[list[Stage], Field(json_schema_extra={"uniqueItems": True})]

Count = Annotated[int, Ge(1)]

Seed = Annotated[int, Ge(0), Lt(2**32)]

Seeds = Annotated[list[Seed], MinLen(1), Field(json_schema_extra={"uniqueItems": True})]

Protocol = Literal["reference", "official", "grouped"]

Share = Annotated[float, Ge(0), Le(1)]

ProperFraction = Annotated[float, Gt(0), Lt(1)]

Margin = Annotated[float, Ge(0), Lt(1)]

Part = Annotated[float, Gt(0), Le(1)]
