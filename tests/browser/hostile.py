"""Names that a record might hold to do harm, or to make a page unreadable."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from infra.sample.catalogue import Note, features
from infra.sample.records import Features, example, frame
from pipelines.evaluate.predictions import add_stamp, predictions_digest, read_stamp
from pipelines.registry.runs import load_run, store_run

NAMES = (
    "<script>document.title='injected'</script>",
    "<img src=x onerror=\"document.title='injected'\">",
    "</code></table><h1 id=injected>injected</h1>",
    "\"'><svg onload=alert(1)>",
    '"onmouseover="alert(1)" autofocus onfocus=\'alert(2)\'',
    "javascript:alert(1)//&lt;b&gt;&amp;{{ 7 * 7 }}{% raw %}",
    "../../../../etc/passwd\\..\\..\\boot.ini",
    "file:///etc/passwd?x=y#z",
    "long_" * 2_000,
    "nothing\x00bell\x07escape\x1b[31mred\x7f\r\n\tdone\u2028end",
    "\u202egpj.evil\u202c \u2067\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627\u2069",
    "\ufeff\u200b\u0301\u0301\u0301zero\ufffd\U0001f3b9",
)


def records() -> Iterator[bytes]:
    """Records by these names: those that break their rules, which a report shows as examples.

    A verdict has three examples at most, so that three reasons show nine of the names.
    """
    for number, name in enumerate(NAMES):
        note = Note("bass", 901, 24 + number, 100)
        yield frame(example(_spoiled(features(note, seed=5), name, number % 4)))


def _spoiled(note: Features, name: str, kind: int) -> Features:
    spoiled = note | {"note_str": [name.encode()], "instrument_str": [name.encode()]}
    return [
        spoiled,
        spoiled | {"sample_rate": [8_000]},
        spoiled | {"instrument_family_str": [name.encode()]},
        # It becomes no note.
        spoiled | {"pitch": [name.encode()]},
    ][kind]


def rename_notes(run: Path) -> None:
    """Give the scored notes of a run these names, each in its turn, with the digests that fit."""
    record, models = load_run(str(run)), {}
    for place in run.glob("*/predictions.parquet"):
        table = pq.read_table(place)
        for column in ("note_str", "instrument_str"):
            index = table.schema.get_field_index(column)
            names = [f"{NAMES[i % len(NAMES)]}{i}" for i in range(table.num_rows)]
            table = table.set_column(index, table.schema.field(index), [names])
        models[place.parent.name] = predictions_digest(table)
        pq.write_table(
            add_stamp(table, read_stamp(table)["models"]), place, write_page_checksum=True
        )
    renamed = {
        name: replace(model, predictions_digest=models[name])
        for name, model in record.models.items()
    }
    store_run(replace(record, models=renamed), str(run))
