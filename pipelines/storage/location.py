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

_MISTYPED: Final = re.compile(
    r"(?P<protocol>s3a?|gs|gcs|file|https?|memory|abfss?|az|hdfs|hf|sftp|ftp)"
    r"(?P<separator>:/*|//+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
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
      ConfigError: it holds credentials, or is mistyped.
    """
    refuse_credentials(uri)
    path = local_path(uri)
    if path is not None:
        return str(path)
    return uri if uri.endswith("://") else uri.rstrip("/")


def local_path(uri: str) -> Path | None:
    """Return the absolute path of a location on this machine, None for a remote one.

    Raises:
      ConfigError: it is meant for another place and mistyped, so that it looks like a path.
    """
    refuse_mistyped(uri)
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    # A link keeps its own name, by which the user knows the file.
    return Path(os.path.abspath(Path(uri).expanduser()))  # noqa: PTH100 - `resolve` follows links


def is_link(uri: str) -> bool:
    """Return whether a location is a symbolic link of this machine."""
    path = local_path(uri)
    return path is not None and path.is_symlink()


def cache_dir(root: str) -> Path:
    """The folder of this machine for what can be made again from `root`.

    NSYNTH_CACHE names it; otherwise it lies in a local root, or in the user's cache folder.

    Raises:
      ConfigError: NSYNTH_CACHE names another place.
    """
    if named := os.environ.get("NSYNTH_CACHE"):
        folder = local_path(named)
        if folder is None:
            raise ConfigError(f"NSYNTH_CACHE must be a folder of this machine, got {named}")
        return folder.resolve()
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


def refuse_mistyped(uri: str) -> None:
    """Refuse a location with the name of a protocol that is not followed by `://` and a place.

    As a path it would make a folder `s3:` on this machine, or look like an empty root.

    Raises:
      ConfigError: it is mistyped; the message has the right spelling.
    """
    found = _MISTYPED.fullmatch(uri)
    if found is None:
        return
    protocol, separator, rest = found["protocol"].lower(), found["separator"], found["rest"]
    if protocol == "file":
        is_right = uri.startswith(("file:///", "file://~"))
        right = f"file:///{rest}" if "/" in separator.removeprefix("://") else rest
    elif protocol == "memory":
        is_right, right = uri.startswith("memory://"), f"memory://{rest}"
    else:
        is_right = found["protocol"] == protocol and separator == "://" and rest != ""
        right = f"{protocol}://{rest or 'BUCKET'}"
    if not is_right:
        refuse_credentials(right)
        raise ConfigError(
            f"{uri} is no location: write {right}, or ./{uri} for a file or folder of that name"
        )


def without_credentials(text: str) -> str:
    """A library's message, with what stands before the host of any URL in it left out."""
    return re.sub(r"://[^/@\s]+@", "://", text)
