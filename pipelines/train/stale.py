"""Audio caches whose data set is gone, found for `nsynth clean`; nothing is lost with one."""

import re
import time
from pathlib import Path
from typing import Final

from pipelines import storage
from pipelines.convert.manifest import load_manifest
from pipelines.errors import PipelineError
from pipelines.records import parse
from pipelines.registry.clean import MIN_AGE_SEC, Abandoned
from pipelines.registry.inventory import list_datasets

_NAME: Final = re.compile(r"(?P<digest>[0-9a-f]{64})\.[0-9a-f]{8}\.(?P<kind>f32|json|f32\.part)")


def find_stale_caches(root: str, *, min_age_sec: float = MIN_AGE_SEC) -> list[Abandoned]:
    """The caches of data sets that a root holds no more, and builds that were never finished.

    In a folder that several roots share, only those made from this one.

    Args:
      min_age_sec: files changed since are left alone; a build may be at work.
    """
    root = storage.absolute(root)
    folder = storage.cache_dir(root)
    files = {path: match for path in _files(folder) if (match := _NAME.fullmatch(path.name))}
    if not files:
        return []
    known = {found.manifest.manifest_digest for found in list_datasets(root) if found.manifest}
    newest, found = time.time() - min_age_sec, list[Abandoned]()
    for path, match in files.items():
        stored = path.stat()
        if stored.st_mtime > newest:
            continue
        if match["kind"] == "f32.part":
            why = "the cache was never completed"
        elif match["digest"] not in known and _is_gone(path, match["digest"], root, folder):
            why = "the data set of this cache is gone"
        else:
            continue
        found.append(Abandoned(str(path), stored.st_blocks * 512, why))
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_gone(path: Path, digest: str, root: str, folder: Path) -> bool:
    """Whether the manifest that a cache was made from is gone, and was under this root."""
    try:
        uri = str(parse(path.with_suffix(".json").read_bytes())["manifest_uri"])
    except (OSError, ValueError, KeyError):
        uri = ""
    if not uri.startswith(f"{root}/"):
        # In the root itself, from before it was moved; elsewhere it is another root's.
        return folder == Path(root, "cache")
    try:
        return load_manifest(uri).manifest_digest != digest
    except PipelineError:
        # A manifest that this version cannot read may be another version's.
        return not storage.exists(uri)
