"""Where notes come from: the files that a request names, told apart by what is in them.

A TFRecord file may stand alone, lie in a tar, or be compressed by gzip. NSynth's other form,
examples.json and audio/*.wav, may be a folder, a tar or a compressed tar.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from pipelines import storage
from pipelines.convert import gunzip
from pipelines.convert.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.readahead import Fetch
from pipelines.convert.sharding import check_complete, warn_of_absent
from pipelines.convert.signatures import HEAD_BYTES, recognise
from pipelines.convert.tar import BLOCK_BYTES, Member, is_tar, members
from pipelines.convert.tfrecord import HEADER_BYTES, find_headers
from pipelines.convert.window import Window
from pipelines.errors import ConfigError

TFRECORD: Final = "tfrecord"
GZIP: Final = "gzip"
JSON_WAV: Final = "json_wav"
JSON_WAV_TAR: Final = "json_wav_tar"
JSON_WAV_TAR_GZ: Final = "json_wav_tar_gz"

_STREAMS: Final = (GZIP, JSON_WAV_TAR_GZ)

_HEAD_BYTES: Final = 2**16
_SEARCHED_BYTES: Final = 2**20
"""Bytes of a file beginning as text that are searched for a record; NSynth has four in so many."""

_READERS: Final = 16


@dataclass(frozen=True)
class Source:
    """One file to convert, or one folder, as it was when the conversion was planned.

    Attributes:
      name: what the notes call it; the same wherever the file lies.
      size: bytes as they are stored; in a manifest those that its account is of.
      tag: what changes with the content: an etag, a time of change, or a digest of many.
      form: what it holds and how.
      start: where in the file it begins; a TFRecord file in a tar.
    """

    name: str
    uri: str
    size: int
    tag: str
    form: str = TFRECORD
    start: int = 0

    @property
    def is_stream(self) -> bool:
        """Whether it can only be read from front to back, and its length is not known before."""
        return self.form in _STREAMS


def find_sources(requests: Sequence[str]) -> tuple[Source, ...]:
    """The sources that a request names, in order.

    Args:
      requests: URIs; a name with `*` stands for all that match.

    Raises:
      ConfigError: one is missing, empty, or of no form that is known.
    """
    uris = [storage.absolute(uri) for request in requests for uri in _expand(request)]
    if not uris:
        raise ConfigError("there is nothing to convert; name at least one TFRecord file")
    with ThreadPoolExecutor(_READERS) as pool:
        found = [source for sources in pool.map(_checked, uris) for source in sources]
    paths = [source.name for source in found]
    warn_of_absent(paths)
    for path, num in Counter(paths).items():
        if num > 1:
            raise ConfigError(f"{path} is named twice; name each source once")
    names = _short_names(paths)
    return tuple(replace(source, name=name) for source, name in zip(found, names, strict=True))


def is_unchanged(source: Source) -> bool:
    """Whether a source is still what it was when the conversion was planned."""
    if source.form == JSON_WAV:
        return _folder_identity(source.uri) == (source.size, source.tag)
    size, tag = storage.identity(source.uri)
    # What lies in a tar has a size of its own.
    return tag == source.tag and (source.start > 0 or size == source.size)


def fetcher(source: Source) -> Fetch:
    """What reads a source's bytes as they are stored."""

    def fetch(start: int, end: int) -> bytes:
        return storage.read_range(source.uri, source.start + start, source.start + end)

    return fetch


def is_wav(name: str) -> bool:
    """Whether a file of this name is a note's audio."""
    # Some systems add a hidden file to each that they pack.
    return name.endswith(".wav") and not name.startswith(".")


def _expand(request: str) -> list[str]:
    if "*" not in request:
        return [request]
    found = storage.glob(request)
    if not found:
        raise ConfigError(f"no file matches {request}; check the path")
    check_complete(request, found)
    return found


def _checked(uri: str) -> list[Source]:
    """Return what a URI stands for, each named by its whole path.

    Raises:
      ConfigError: it is missing, empty, or a file of a type that holds no note.
    """
    found = _identified(uri)
    for source in found:
        _check_type(source)
    return found


def _identified(uri: str) -> list[Source]:
    """What a URI stands for, each named by its whole path."""
    if storage.name(uri) == EXAMPLES_JSON:
        uri = storage.parent(uri)
    if storage.is_folder(uri):
        size, tag = _folder_identity(uri)
        return [Source(uri, uri, size, tag, JSON_WAV)]
    size, tag = storage.identity(uri)
    if size == 0:
        raise ConfigError(f"{uri} is empty; expected a TFRecord file")
    source = Source(uri, uri, size, tag)
    head = fetcher(source)(0, min(size, _HEAD_BYTES))
    if len(find_headers(head[:HEADER_BYTES])[0]):
        return [source]
    if head.startswith(gunzip.MAGIC):
        return [replace(source, form=_compressed_form(head))]
    return _archived(source) if is_tar(head) else [source]


def _compressed_form(head: bytes) -> str:
    stream = gunzip.GzipStream(lambda start, end: head[start:end], size=len(head))
    window = Window(stream.read, size=None)
    if not is_tar(window.bytes_at(0, BLOCK_BYTES)):
        return GZIP
    first = next((member for member in members(window) if _is_visible(member)), None)
    return GZIP if first and _is_tfrecord(first) else JSON_WAV_TAR_GZ


def _archived(source: Source) -> list[Source]:
    """The TFRecord files in a tar, each a source; the tar itself where it holds the other form."""
    # Small blocks: what lies between the headers is not read.
    window = Window(fetcher(source), size=source.size, block_bytes=_HEAD_BYTES)
    visible = (member for member in members(window) if _is_visible(member))
    first = next(visible, None)
    if first is None or not _is_tfrecord(first):
        return [replace(source, form=JSON_WAV_TAR)]
    return [
        Source(f"{source.uri}/{member.name}", source.uri, size, source.tag, start=member.offset)
        for member in (first, *visible)
        if _is_tfrecord(member)
        # A download that broke off ends before its last member does.
        if (size := min(member.size, source.size - member.offset)) > 0
    ]


def _is_visible(member: Member) -> bool:
    return not storage.name(member.name).startswith(".")


def _is_tfrecord(member: Member) -> bool:
    return _is_visible(member) and ".tfrecord" in storage.name(member.name)


def _folder_identity(uri: str) -> tuple[int, str]:
    """Bytes of all wav files, and a digest of what changes with any file."""
    examples = storage.join(uri, EXAMPLES_JSON)
    if not storage.exists(examples):
        raise ConfigError(
            f"there is no {EXAMPLES_JSON} in the folder {uri}; name TFRecord files, or a folder "
            f"with {EXAMPLES_JSON} and audio/*.wav"
        )
    wavs = sorted(
        (name, *identity)
        for name, identity in storage.identities(storage.join(uri, "audio")).items()
        if is_wav(name)
    )
    size = sum(num_bytes for _, num_bytes, _ in wavs)
    if size == 0:
        raise ConfigError(f"there is no wav file in {storage.join(uri, 'audio')}; check the path")
    content = repr((storage.identity(examples), wavs))
    return size, hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()[:32]


def _short_names(paths: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart; equal on every machine for one file."""
    depth = 1
    while len(set(names := ["/".join(path.split("/")[-depth:]) for path in paths])) < len(paths):
        depth += 1
    return names


def _check_type(source: Source) -> None:
    """Refuse a file that is something else than records; one whose beginning is damaged is read.

    Raises:
      ConfigError: its first bytes, or those of what it unfolds to, say what it is.
    """
    if source.form == JSON_WAV:
        _check_examples(storage.join(source.uri, EXAMPLES_JSON))
    if source.form not in (TFRECORD, GZIP):
        return
    fetch, place = fetcher(source), "is"
    if source.form == GZIP:
        fetch, place = gunzip.GzipStream(fetch, size=source.size).read, "is a gzip file of"
    end = _SEARCHED_BYTES if source.form == GZIP else min(source.size, _SEARCHED_BYTES)
    head = fetch(0, min(HEAD_BYTES, end))
    found = None if len(find_headers(head[:HEADER_BYTES])[0]) else recognise(head)
    # A page that some proxy put before the records does not make them unreadable.
    if found is None or (found.is_text and len(find_headers(head + fetch(len(head), end))[0])):
        return
    raise ConfigError(f"{source.name} {place} {found.name}, not a TFRecord file; {found.advice}")


def _check_examples(uri: str) -> None:
    found = recognise(storage.read_range(uri, 0, HEAD_BYTES))
    if found and found.name not in ("JSON", "text"):
        raise ConfigError(f"{uri} is {found.name}, not JSON; {found.advice}")
