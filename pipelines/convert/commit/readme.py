"""The README.md beside a manifest: how to read the folder without this project.

Its front matter is a Hugging Face dataset card's and names the shards, so that neither quarantine
nor verdicts are taken for notes. Pure: one manifest, one text.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import jinja2
import pyarrow as pa
from markupsafe import Markup

from pipelines.convert.commit.manifest import Manifest
from pipelines.convert.shards.plan import SHARDS_FOLDER
from pipelines.note_schema import schema
from pipelines.notes import NUM_SOURCE_SAMPLES, named_split, number_text, stored_rate_hz
from pipelines.text import listed, markdown

NAME: Final = "README.md"

# The pattern of the shards, seen from the folder of the data set.
SHARDS: Final = f"{SHARDS_FOLDER}/part-*.parquet"

# Descriptions of the columns; that of the samples depends on their number.
MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "note_str": "the note's name: instrument, pitch, velocity",
        "note": "number of the note",
        "instrument": "number of the instrument",
        "instrument_str": "name of the instrument: family, source, number",
        "pitch": "MIDI pitch",
        "velocity": "MIDI velocity",
        "sample_rate": "of the source, in Hz",
        "qualities": "0 or 1 for each of ten qualities of the sound",
        "qualities_str": "names of the qualities that are 1",
        "instrument_family": "number of the family, 0 to 10",
        "instrument_family_str": "name of the family, the label: bass, brass, ... vocal",
        "instrument_source": "0 acoustic, 1 electronic, 2 synthetic",
        "instrument_source_str": "name of the source",
        "peak": "largest magnitude of the source's samples",
        "rms": "root mean square of the source's samples",
        "audio_digest": "XXH3-128 of the source's samples",
        "source_file": "the file that the note was read from",
        "source_offset": "where it stands there: a byte, or its number in the json + wav form",
        "audio": "samples at {rate_hz} Hz, in [-1, 1]{overshoot}",
    }
)


def readme(manifest: Manifest) -> str:
    """Return the text of README.md, equal wherever `dataset_id` and `manifest_digest` are.

    So it omits `samples_digest`, which depends on the platform, and the location of the sources.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Markdown, which `finalize` escapes
        finalize=_escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    num_samples = manifest.parameters.num_samples
    is_resampled, rate_hz = num_samples != NUM_SOURCE_SAMPLES, stored_rate_hz(num_samples)
    meanings = dict(MEANINGS)
    meanings["audio"] = meanings["audio"].format(
        rate_hz=number_text(rate_hz), overshoot=" but for overshoot" if is_resampled else ""
    )
    return environment.get_template("readme.md.j2").render(
        manifest=manifest,
        columns=[
            {"name": field.name, "type": _type(field.type), "meaning": meanings[field.name]}
            for field in schema(num_samples)
        ],
        is_resampled=is_resampled,
        shards=SHARDS,
        folder=SHARDS_FOLDER,
        split=split_name(manifest),
        rate_hz=number_text(rate_hz),
        highest_hz=number_text(rate_hz / 2),
        source_names=listed(source.name for source in manifest.sources),
    )


def _escaped(value: Any) -> Any:
    """Escape the values of the template, except for those marked `safe`."""
    return markdown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def split_name(manifest: Manifest) -> str:
    """Return the official split of all sources; otherwise `train`, as for any unsplit data."""
    splits = [named_split(source.name) for source in manifest.sources]
    names = {split.name if split else "train" for split in splits}
    return names.pop() if len(names) == 1 else "train"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{_type(kind.value_type)}[{kind.list_size}]"
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    return "float32" if pa.types.is_float32(kind) else str(kind)
