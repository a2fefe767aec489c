"""A large TFRecord file out of a small one: its records again and again, under new names.

python -m tests.bench.grow SOURCE OUT GIGABYTES
"""

import struct
import sys
from itertools import cycle
from pathlib import Path

from pipelines import storage
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.example import decode
from pipelines.convert.formats.tfrecord import Position, Record, masked_crc, read_records


def main(source: str, out: str, num_bytes: float) -> None:
    size, _ = storage.identity(source)
    window = Window(lambda start, end: storage.read_range(source, start, end), size=size)
    found = read_records(window, Position(0, synced=True), size)
    payloads = [record.payload for record in found if isinstance(record, Record)][:2000]
    names = [decode(payload).scalars["note_str"].encode() for payload in payloads]
    written = 0
    with Path(out).open("wb") as file:
        for number, (payload, name) in enumerate(cycle(zip(payloads, names, strict=True))):
            if written >= num_bytes:
                break
            # A name of the same length leaves every length in the message as it is.
            new = f"{number:08d}".encode() + name[8:]
            data = payload.replace(name, new)
            length = struct.pack("<Q", len(data))
            written += file.write(length + struct.pack("<I", masked_crc(length)))
            written += file.write(data)
            written += file.write(struct.pack("<I", masked_crc(data)))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m tests.bench.grow SOURCE OUT GIGABYTES")
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) * 1e9)
