"""Links between pages that go with the folder that holds both."""

import os
import posixpath

from pipelines import storage


def relative_link(page_uri: str, target_uri: str) -> str:
    """The target as a link of the page; empty where the two lie in different stores."""
    page, target = storage.local_path(page_uri), storage.local_path(target_uri)
    if page is not None and target is not None:
        return os.path.relpath(target, page.parent).replace(os.sep, "/")
    if _store(page_uri) != _store(target_uri):
        return ""
    return posixpath.relpath(target_uri, storage.parent(page_uri))


def _store(uri: str) -> str:
    """What a location has before its path: protocol and bucket; none of a path of this machine."""
    protocol, mark, rest = uri.partition("://")
    return protocol + mark + rest.partition("/")[0] if mark else ""
