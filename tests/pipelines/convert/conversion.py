"""A conversion in memory: what `convert` does to a file, without storage and engine."""

from pipelines.convert.commit.manifest import join
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan
from pipelines.convert.shards.shard import Converted, ShardSummary, convert_bytes
from tests.pipelines.convert.records import reader


class Conversion:
    """Bytes in memory converted range by range, as a conversion does with files."""

    def __init__(self, data: bytes, range_bytes: int, *, block_bytes: int = 8 * 2**20) -> None:
        source = Source("tiny", "tiny", len(data), "")
        plan = Plan("", "", (source,), Parameters(range_bytes=range_bytes))
        self.ranges = {r.shard_name: r for r in plan.ranges()}
        self.window = Window(reader(data), size=len(data), block_bytes=block_bytes)
        self.num_again = 0
        self.converted = {name: convert_bytes(self.window, r) for name, r in self.ranges.items()}

    def again(self, shard: ShardSummary, position: Position) -> ShardSummary:
        self.num_again += 1
        byte_range = self.ranges[shard.name]
        self.converted[shard.name] = convert_bytes(self.window, byte_range, entry=position)
        return self.converted[shard.name].summary

    def join(self) -> list[ShardSummary]:
        alone: list[Converted] = list(self.converted.values())
        return join([converted.summary for converted in alone], again=self.again)

    def records(self) -> list[int]:
        """Offsets of the sound records: no payload here is an example, so all are set aside."""
        return [row["offset"] for c in self.converted.values() for row in c.quarantine.to_pylist()]
