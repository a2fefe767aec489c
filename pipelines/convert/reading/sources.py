"""Sources of notes: the files that a request names, distinguished by their content.

A TFRecord file may be alone, in a tar, or compressed by gzip. NSynth's other form,
examples.json and audio/*.wav, may be a folder, a tar or a compressed tar.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from pipelines import storage
from pipelines.convert.formats import byte_stream as gunzip
from pipelines.convert.formats.byte_stream import Fetch, Window
from pipelines.convert.formats.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.formats.signatures import HEAD_BYTES, recognise
from pipelines.convert.formats.tar import BLOCK_BYTES, Member, is_tar, members
from pipelines.convert.formats.tfrecord import HEADER_BYTES, find_headers
from pipelines.errors import ConfigError
from pipelines.text import listed

# Five digits, as TensorFlow Datasets and Beam write them.
_SHARD: Final = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<end>[^/]*)")

log = logging.getLogger(__name__)


class _File(NamedTuple):
    """A file in shards, of whose names only the number differs."""

    stem: str
    total: str
    end: str

    def shard(self, number: int) -> str:
        """Return the path of one shard."""
        return f"{self.stem}-{number:05d}-of-{self.total}{self.end}"


def check_complete(pattern: str, paths: Iterable[str]) -> None:
    """Check that all shards of a pattern exist.

    A pattern that leaves shards out, as `*-0000*-of-01024` does, means the others only.

    Raises:
      ConfigError: some are not.
    """
    for file, absent in _absent(paths):
        names = [storage.name(file.shard(number)) for number in absent]
        named = [name for name in names if fnmatchcase(name, storage.name(pattern))]
        if named:
            raise ConfigError(
                f"{pattern} stands for shards of which {len(named)} of {int(file.total)} are not "
                f"there: {listed(named)}; add them, or name the shards to convert one by one"
            )


def warn_of_absent(paths: Iterable[str]) -> None:
    """Say in the log which shards are not among those to convert."""
    for file, absent in _absent(paths):
        log.warning(
            "%d of %d shards are not among the sources: %s",
            len(absent),
            int(file.total),
            listed([storage.name(file.shard(number)) for number in absent]),
        )


def _absent(paths: Iterable[str]) -> Iterator[tuple[_File, list[int]]]:
    """Yield each file in shards of which some are absent, and the numbers of those."""
    present: dict[_File, set[int]] = {}
    for path in paths:
        if match := _SHARD.fullmatch(path):
            file = _File(match["stem"], match["total"], match["end"])
            present.setdefault(file, set()).add(int(match["number"]))
    for file, numbers in present.items():
        if absent := sorted(set(range(int(file.total))) - numbers):
            yield file, absent


TFRECORD: Final = "tfrecord"
GZIP: Final = "gzip"
JSON_WAV: Final = "json_wav"
JSON_WAV_TAR: Final = "json_wav_tar"
JSON_WAV_TAR_GZ: Final = "json_wav_tar_gz"

_STREAMS: Final = (GZIP, JSON_WAV_TAR_GZ)

# Bytes to search for a record in a file that begins as text; NSynth has four records in as many.
_SEARCHED_BYTES: Final = 2**20

# Bytes of a compressed tar to unpack to find its content: a second's work.
_MAX_SEARCH_BYTES: Final = 2**28
_READERS: Final = 16
# Characters of a name in an error: one in a tar may have thousands.
_SHOWN_CHARACTERS: Final = 200


@dataclass(frozen=True)
class Source:
    """One file to convert, or one folder, as it was when the conversion was planned.

    Attributes:
      name: its name in the notes; the same wherever the file is stored.
      size: bytes as they are stored; in a manifest those that its account is of.
      tag: a value that changes with the content: an etag, a modification time, or a digest of many.
      form: the format of its content.
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
        """Return whether it can only be read from front to back, its length unknown before."""
        return self.form in _STREAMS


def find_sources(requests: Sequence[str]) -> tuple[Source, ...]:
    """Return the sources that a request names, in order.

    Args:
      requests: URIs; a name with `*` matches several.

    Raises:
      ConfigError: one is missing, empty, or of an unknown form.
    """
    uris = [_absolute(uri) for request in requests for uri in _expand(request)]
    if not uris:
        raise ConfigError("there is nothing to convert; name at least one TFRecord file")
    with ThreadPoolExecutor(_READERS) as pool:
        found = [source for sources in pool.map(_identify, uris) for source in sources]
    paths = [source.name for source in found]
    warn_of_absent(paths)
    for path, num in Counter(paths).items():
        if num > 1:
            if len({source.uri for source in found if source.name == path}) > 1:
                raise ConfigError(
                    f"{num} sources are {path} but for their queries, which names leave out; "
                    "download them under names of their own"
                )
            raise ConfigError(f"{path} is named twice; name each source once")
    names = _short_names(paths)
    _check_names(names)
    return tuple(replace(source, name=name) for source, name in zip(found, names, strict=True))


def is_unchanged(source: Source) -> bool:
    """Return whether a source is unchanged since the conversion was planned."""
    if source.form == JSON_WAV:
        return _folder_identity(source.uri) == (source.size, source.tag)
    size, tag = storage.identity(source.uri)
    # A member of a tar has its own size.
    return tag == source.tag and (source.start > 0 or size == source.size)


def fetcher(source: Source) -> Fetch:
    """Return a function that reads a source's bytes as they are stored."""
    # The records of a TFRecord file bring their own.
    checksum = source.form not in (TFRECORD, GZIP)

    def fetch(start: int, end: int) -> bytes:
        begin = source.start
        return storage.read_range(source.uri, begin + start, begin + end, checksum=checksum)

    return fetch


def is_wav(name: str) -> bool:
    """Return whether a file of this name is a note's audio."""
    # Some systems add a hidden file to each that they pack.
    return name.lower().endswith(".wav") and not name.startswith(".")


def member_form(member: Member, *, uri: str) -> str | None:
    """Return the form of source that a tar's member is, or is a part of: `TFRECORD` or `JSON_WAV`.

    Args:
      uri: the tar's, for the error.

    Returns:
      None where notes are in neither.

    Raises:
      ConfigError: it is one by its name, and the tar does not hold its bytes as a plain file.
    """
    name = storage.name(member.name)
    if name.startswith("."):
        return None
    if ".tfrecord" in name.lower():
        form = TFRECORD
    elif name == EXAMPLES_JSON or is_wav(name):
        form = JSON_WAV
    else:
        return None
    if member.special:
        raise ConfigError(
            f"{member.name[-_SHOWN_CHARACTERS:]!r} in {uri} is {member.special}, expected a plain "
            "file; pack the archive again with --dereference --hard-dereference and without "
            "--sparse"
        )
    return form


def both_forms_error(uri: str) -> ConfigError:
    """Return the error for a tar that holds both forms, of which one would be left out."""
    return ConfigError(
        f"{uri} holds TFRecord files and also wav files or {EXAMPLES_JSON}, expected one form in a "
        "tar; unpack it and name what to convert"
    )


def num_examples_error(uri: str, num: int) -> ConfigError:
    """Return the error for a tar with another number of `EXAMPLES_JSON` than one."""
    return ConfigError(
        f"{uri} holds {num} files {EXAMPLES_JSON}, expected one: a tar of NSynth holds "
        f"{EXAMPLES_JSON} and audio/*.wav of one split, or TFRecord files"
    )


def _expand(request: str) -> list[str]:
    if "*" not in request:
        return [request]
    found = storage.glob(request)
    if not found:
        raise ConfigError(f"no file matches {request}{storage.base_note(request)}; check the path")
    check_complete(request, found)
    return found


def _absolute(request: str) -> str:
    uri = storage.absolute(request)
    note = storage.base_note(request)
    if note and not storage.exists(uri):
        raise ConfigError(f"there is no file {uri}{note}; check the path")
    return uri


def _identify(uri: str) -> list[Source]:
    """Return the files of a URI, each named by its whole path.

    Raises:
      ConfigError: it is missing, empty, or a file of a type that holds no note.
    """
    if storage.name(uri) == EXAMPLES_JSON:
        uri = storage.parent(uri)
    if storage.is_folder(uri):
        size, tag = _folder_identity(uri)
        _check_examples(storage.join(uri, EXAMPLES_JSON))
        return [Source(storage.without_query(uri), uri, size, tag, JSON_WAV)]
    size, tag = storage.identity(uri)
    if size == 0:
        raise ConfigError(f"{uri} is empty; expected a TFRecord file")
    found = _identify_form(Source(storage.without_query(uri), uri, size, tag))
    for source in found:
        _check_type(source)
    return found


def _identify_form(source: Source) -> list[Source]:
    """Return the sources in a file that has bytes."""
    head = storage.read_range(source.uri, 0, min(source.size, HEAD_BYTES), checksum=True)
    if len(find_headers(head[:HEADER_BYTES])[0]):
        return [source]
    if head.startswith(gunzip.MAGIC):
        return [replace(source, form=_compressed_form(source, head))]
    return _archived_sources(source) if is_tar(head) else [source]


def _check_type(source: Source) -> None:
    """Refuse a file that is something else than records; one whose beginning is damaged is read.

    Raises:
      ConfigError: its first bytes, or those of its decompressed content, show another type.
    """
    if source.form not in (TFRECORD, GZIP):
        return
    fetch, place = fetcher(source), "is"
    if source.form == GZIP:
        fetch, place = gunzip.GzipStream(fetch, size=source.size).read, "is a gzip file of"
    end = _SEARCHED_BYTES if source.form == GZIP else min(source.size, _SEARCHED_BYTES)
    head = fetch(0, min(HEAD_BYTES, end))
    is_known = is_tar(head) or len(find_headers(head[:HEADER_BYTES])[0])
    found = None if is_known else recognise(head)
    # A page that some proxy put before the records does not make them unreadable.
    if found is None or (found.is_text and len(find_headers(head + fetch(len(head), end))[0])):
        return
    raise ConfigError(f"{source.name} {place} {found.name}, not a TFRecord file; {found.advice}")


def _check_examples(uri: str) -> None:
    found = recognise(storage.read_range(uri, 0, HEAD_BYTES))
    if found and found.name not in ("JSON", "text"):
        raise ConfigError(f"{uri} is {found.name}, not JSON; {found.advice}")


def _compressed_form(source: Source, head: bytes) -> str:
    stream = gunzip.GzipStream(lambda start, end: head[start:end], size=len(head))
    if not is_tar(stream.read(0, BLOCK_BYTES)):
        return GZIP
    whole = gunzip.GzipStream(fetcher(source), size=source.size)

    def read(start: int, end: int) -> bytes:
        return whole.read(start, end) if start < _MAX_SEARCH_BYTES else b""

    # The rest of it is looked at when it is converted, since it has to be unpacked for that.
    for member in members(Window(read, size=None, block_bytes=HEAD_BYTES)):
        if form := member_form(member, uri=source.uri):
            return GZIP if form == TFRECORD else JSON_WAV_TAR_GZ
    raise num_examples_error(source.uri, 0)


def _archived_sources(source: Source) -> list[Source]:
    """Return the TFRecord files in a tar; the tar itself where it holds the other form."""
    # Small blocks: the content between the headers is not read.
    fetch = fetcher(replace(source, form=JSON_WAV_TAR))
    window = Window(fetch, size=source.size, block_bytes=HEAD_BYTES)
    found = list[Source]()
    for member in members(window):
        form = member_form(member, uri=source.uri)
        if form == JSON_WAV and not found:
            # Its other members are looked at where its notes are listed: they may be 300,000.
            return [replace(source, form=JSON_WAV_TAR)]
        if form == JSON_WAV:
            raise both_forms_error(source.uri)
        if form == TFRECORD:
            found.append(_archived_file(source, member))
    if not found:
        raise num_examples_error(source.uri, 0)
    return found


def _archived_file(source: Source, member: Member) -> Source:
    # A download that broke off ends before its last member does.
    size = min(member.size, source.size - member.offset)
    if size <= 0:
        raise ConfigError(
            f"{member.name!r} in {source.uri} has no bytes, expected a TFRecord file; pack the "
            "archive again, or download it again where it broke off"
        )
    return Source(f"{source.name}/{member.name}", source.uri, size, source.tag, start=member.offset)


def _folder_identity(uri: str) -> tuple[int, str]:
    """Return the bytes of all wav files, and a digest that changes with any file."""
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


def _check_names(names: Sequence[str]) -> None:
    """Refuse a name that no shard could hold: the notes say which source they are from."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as err:
            raise ConfigError(
                f"the name {name!r} of a source is not UTF-8; give the file or folder another name"
            ) from err


def _short_names(paths: Sequence[str]) -> list[str]:
    """Return the shortest distinct ends of the paths, equal on every machine for one file."""
    depth = 1
    while len(set(names := ["/".join(path.split("/")[-depth:]) for path in paths])) < len(paths):
        depth += 1
    return names
