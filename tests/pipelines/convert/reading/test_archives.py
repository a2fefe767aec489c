import gzip
from pathlib import Path

import pytest

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from pipelines.convert.reading.archives import open_archive
from pipelines.convert.reading.jsonwav import Item
from pipelines.convert.reading.sources import JSON_WAV_TAR_GZ, Source
from pipelines.errors import ConfigError
from tests.pipelines.convert import forms
from tests.pipelines.convert.formats.test_readahead import read_ahead_threads
from tests.pipelines.convert.forms import name

NUMBERS = (4, 1, 3)


def source(path: Path, content: dict[str, bytes]) -> Source:
    size = path.write_bytes(gzip.compress(forms.tar(content), 1, mtime=0))
    return Source(path.name, str(path), size, "", JSON_WAV_TAR_GZ)


def items(path: Path, content: dict[str, bytes], *, begin: int = 0) -> list[Item]:
    with open_archive(source(path, content), begin=begin) as found:
        return list(found)


def summary(found: list[Item]) -> list[tuple[str | None, str, int]]:
    return [(item.entry and item.entry[0], item.wav_name, item.size) for item in found]


@pytest.mark.parametrize("begin", range(7))
def test_opened_archive_gives_wav_files_in_order_and_then_what_has_none(
    tmp_path: Path, begin: int
) -> None:
    content = forms.files([*NUMBERS, 8, 2])
    for lost in (8, 2):
        del content[f"audio/{name(lost)}.wav"]
    extra = {"audio/extra.wav": b"x", f"again/{name(1)}.wav": b"yy", "audio/._a.wav": b"zzz"}
    size = len(forms.wav(forms.pcm(0)))
    assert (
        summary(items(tmp_path / "tar", content | extra, begin=begin))
        == [
            (name(4), f"{name(4)}.wav", size),
            (name(1), f"{name(1)}.wav", size),
            (name(3), f"{name(3)}.wav", size),
            (None, "extra.wav", 1),
            (None, f"{forms.SPLIT}/again/{name(1)}.wav", 2),
            (name(8), "", 0),
            (name(2), "", 0),
        ][begin:]
    )


def test_opened_archive_finds_examples_json_wherever_it_stands(tmp_path: Path) -> None:
    content = forms.files(NUMBERS)
    expected = items(tmp_path / "first", content)
    assert items(tmp_path / "last", forms.examples_last(content)) == expected
    assert [item.wav for item in expected] == [forms.wav(forms.pcm(n)) for n in NUMBERS]


def test_opened_archive_holds_no_more_of_a_file_than_is_believed(tmp_path: Path) -> None:
    content = forms.files([1]) | {f"audio/{name(1)}.wav": bytes(MAX_RECORD_BYTES + 5)}
    (item,) = items(tmp_path / "tar", content)
    assert item.size == MAX_RECORD_BYTES + 5
    assert item.wav is not None
    assert len(item.wav) == MAX_RECORD_BYTES


def test_opened_archive_leaves_no_thread_behind(tmp_path: Path) -> None:
    given = source(tmp_path / "tar", forms.files(NUMBERS))
    with open_archive(given, begin=0) as found:
        next(found)
    assert not read_ahead_threads()
    without = source(tmp_path / "other", {"audio/a.wav": b"x"})
    with (
        pytest.raises(ConfigError, match=r"holds 0 files examples.json, expected"),
        open_archive(without, begin=0),
    ):
        pass
    assert not read_ahead_threads()
