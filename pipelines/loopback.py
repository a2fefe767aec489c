"""Connections of this machine to itself."""

import os
from typing import Final
from urllib.request import getproxies_environment

_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_NAMES: Final = ("no_proxy", "NO_PROXY", "no_grpc_proxy")


def bypass_proxies() -> None:
    """Keep connections to this machine away from the proxies that the environment names.

    A proxy would dial its own loopback. Libraries (gRPC, httpx, websockets, botocore) read the
    exceptions from the environment, so they are set there, for child processes as well.
    """
    # On macOS a no_proxy alone would put the proxies of the system settings out of use.
    if not set(getproxies_environment()) & {"http", "https", "all", "grpc"}:
        return
    # gRPC reads lower case alone, and where it is set no_grpc_proxy alone.
    names = [name for name in _NAMES if name in os.environ or name in _NAMES[:2]]
    given = [os.environ.get(name, "") for name in names]
    hosts = [host.strip() for text in given for host in text.split(",") if host.strip()]
    for name in names:
        os.environ[name] = ",".join(dict.fromkeys([*hosts, *_HOSTS]))
