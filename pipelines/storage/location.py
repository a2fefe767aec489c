"""Locations as text: joined, taken apart, told from paths; nothing here asks what is stored."""

import os
import re
from pathlib import Path
from typing import Final

import platformdirs

from pipelines.errors import ConfigError

_CREDENTIALS: Final = re.compile(
    # user@ or user:password@ before the host; a name alone is no secret to ssh.
    r"(?<!sftp)(?<!ssh)://[^/@]*@"
    # A secret may hold slashes; a number behind the colon is a port.
    r"|://[^/:@]+:(?!\d+(?:/|$))[^@]*@"
    # What signed links carry.
    r"|[?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|sig|signature|token"
    r"|access_token)=",
    re.IGNORECASE,
)


def join(uri: str, *parts: str) -> str:
    """The location of `parts` under `uri`."""
    folder = uri if uri.endswith("/") else f"{uri}/"
    return folder + "/".join(part.strip("/") for part in parts)


def name(uri: str) -> str:
    """The last part of a location."""
    return uri.rstrip("/").rpartition("/")[2]


def parent(uri: str) -> str:
    """The location that holds `uri`."""
    return uri.rstrip("/").rpartition("/")[0]


def protocol_of(uri: str) -> str:
    """What stands before `://`."""
    return uri.partition("://")[0]


def bucket_of(uri: str) -> str:
    """The bucket of a remote location, or the host."""
    return uri.partition("://")[2].partition("/")[0]


def absolute(uri: str) -> str:
    """`uri` made independent of the working folder; remote ones are so already.

    Raises:
      ConfigError: it holds credentials.
    """
    refuse_credentials(uri)
    path = local_path(uri)
    if path is not None:
        return str(path)
    return uri if uri.endswith("://") else uri.rstrip("/")


def local_path(uri: str) -> Path | None:
    """The absolute path of a location on this machine, None for a remote one."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    # A link keeps its own name, by which the user knows the file.
    return Path(os.path.abspath(Path(uri).expanduser()))  # noqa: PTH100 - `resolve` follows links


def base_note(uri: str) -> str:
    """Return what an error about a relative path adds: the folder that it is relative to.

    On a worker that is another folder than that of whoever asks for the run.
    """
    if "://" in uri or Path(uri).expanduser().is_absolute():
        return ""
    return f" ({uri} is relative to {Path.cwd()}, where the work runs)"


def cache_dir(root: str) -> Path:
    """The folder of this machine for what can be made again from `root`.

    NSYNTH_CACHE names it; otherwise it lies in a local root, or in the user's cache folder.
    """
    if named := os.environ.get("NSYNTH_CACHE"):
        return Path(named).expanduser().resolve()
    local = local_path(root)
    return local / "cache" if local else platformdirs.user_cache_path("nsynth-flows")


def refuse_credentials(uri: str) -> None:
    """Refuses a location that holds a password, a key or a signature, and does not repeat it.

    Locations go to logs, manifests and reports.

    Raises:
      ConfigError: it holds credentials.
    """
    if _CREDENTIALS.search(uri):
        protocol = uri.partition("://")[0]
        raise ConfigError(
            f"this {protocol}:// location holds credentials; leave them out of it and set them in "
            "the environment or a profile"
        )


def without_credentials(text: str) -> str:
    """A library's message, with what stands before the host of any URL in it left out."""
    return re.sub(r"://[^/@\s]+@", "://", text)
