"""What stays on this machine: servers of ours listen on loopback, and no proxy is asked for it."""

import os
from typing import Final

HOST: Final = "127.0.0.1"
"""Where servers of ours listen."""

NAMES: Final = ("localhost", HOST, "::1")
"""What this machine calls itself."""


_GRPC: Final = "no_grpc_proxy"  # it is not read in capitals


def bypass_proxies() -> None:
    """Keeps this process and those that it starts from dialling loopback through a proxy.

    The usual libraries read `no_proxy`. gRPC reads `no_grpc_proxy` first, and does not know that
    the value `*` means every host.
    """
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    given = os.environ.get(_GRPC) or others
    os.environ[_GRPC] = _with_names(given)
    if others != "*":
        os.environ["no_proxy"] = _with_names(others)


def _with_names(listed: str) -> str:
    given = [host.strip() for host in listed.split(",") if host.strip()]
    return ",".join([*given, *(name for name in NAMES if name not in given)])
