"""File types by their first bytes, to name the type of a file that is not a TFRecord file.

Source: the description of each format; https://en.wikipedia.org/wiki/List_of_file_signatures.
"""

import re
import zlib
from typing import Final, NamedTuple

# First bytes of a file that are enough to tell its type.
HEAD_BYTES: Final = 2**16

_UNPACK: Final = "unpack it, or compress it by gzip instead"
_AGAIN: Final = "the download went wrong: download it again"
_FOLDER: Final = "name the folder that holds examples.json and audio/*.wav"
_RECORDS: Final = "name only the TFRecord files, for example by FOLDER/*.tfrecord*"
_WRITE: Final = "NSynth is read from TFRecord files, or from examples.json and audio/*.wav"

_BINARY: Final = (
    (rb"\x1f\x8b\x08", "a gzip file", "unpack it once"),
    (rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)", "a bzip2 file", _UNPACK),
    (rb"\xfd7zXZ\0", "an xz file", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a zstd file", _UNPACK),
    (rb"\x04\x22\x4d\x18", "an lz4 file", _UNPACK),
    (rb"LZIP\x01", "an lzip file", _UNPACK),
    (rb"\xff\x06\0\0sNaPpY", "a snappy file", _UNPACK),
    (rb"PK\x03\x04.{22}.{4}[^\0]{0,200}\.npy", "a NumPy .npz file", _WRITE),
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive", _UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (rb"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f", "a Riegeli or ArrayRecord file", _WRITE),
    (rb"PAR1", "a Parquet file", _WRITE),
    (rb"ARROW1", "an Arrow file", _WRITE),
    (rb"Obj\x01", "an Avro file", _WRITE),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", _WRITE),
    (rb"\x93NUMPY", "a NumPy .npy file", _WRITE),
    (rb"MATLAB 5\.0", "a MATLAB file", _WRITE),
    (rb"SQLite format 3\0", "an SQLite database", _WRITE),
    (rb"(RIFF|RIFX|RF64).{4}WAVE", "a WAV file", _FOLDER),
    (rb"fLaC", "a FLAC file", _FOLDER),
    (rb"OggS", "an Ogg file", _FOLDER),
    (rb"ID3[\x02-\x04]", "an MP3 file", _FOLDER),
    (rb"FORM.{4}AIF[FC]", "an AIFF file", _FOLDER),
    (rb"%PDF-", "a PDF file", _RECORDS),
    (rb"\x89PNG\r\n\x1a\n", "a PNG image", _RECORDS),
    (rb"\xff\xd8\xff[\xdb\xe0\xe1\xee]", "a JPEG image", _RECORDS),
)
# Patterns of first bytes, names, and what to do; the first that matches counts.
_TEXT: Final = (
    (rb"version https://git-lfs\.", "a Git LFS pointer", "git lfs pull fetches the file itself"),
    (rb"\S*/annex/objects/", "a git-annex pointer", "git annex get fetches the file itself"),
    (rb"(?i)<!doctype html|<html|<head", "an HTML page", _AGAIN),
    (rb"<(\?xml|Error>)", "an XML page", _AGAIN),
    (rb"[{\[]", "JSON", _RECORDS),
)

_TEXT_BYTES: Final = 2**12
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"


class FileType(NamedTuple):
    """The type of a file.

    Attributes:
      advice: a sentence on what to do.
      is_text: whether it is text, which may also be a page in front of something else.
    """

    name: str
    advice: str
    is_text: bool


def recognise(head: bytes) -> FileType | None:
    """Return the type of a file; None if its first bytes do not show it.

    Args:
      head: the first `HEAD_BYTES` of it, or all.
    """
    for pattern, name, advice in _BINARY:
        if re.match(pattern, head, re.DOTALL):
            return FileType(name, advice, is_text=False)
    if _is_zlib(head):
        return FileType("a zlib stream", _UNPACK, is_text=False)
    beginning = head[:_TEXT_BYTES]
    if b"\0" in beginning:
        return None
    for pattern, name, advice in _TEXT:
        if re.match(pattern, beginning.lstrip(_BLANK)):
            return FileType(name, advice, is_text=True)
    return FileType("text", _RECORDS, is_text=True) if _is_plain(beginning) else None


def _is_zlib(head: bytes) -> bool:
    # Two bytes are too few to be certain: it has to decompress as well.
    if len(head) < 2 or head[0] != 0x78 or int.from_bytes(head[:2]) % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(head, 1))
    except zlib.error:
        return False


def _is_plain(data: bytes) -> bool:
    text = data.decode(errors="ignore")
    # The last character that is looked at may be cut.
    is_utf8 = len(data) - len(text.encode()) < 4
    return bool(text) and is_utf8 and all(char.isprintable() or char in "\t\r\n\f" for char in text)
