"""Connections of this machine to itself, which bypass all proxies."""

import os
from typing import Final

# The address at which our servers listen.
HOST: Final = "127.0.0.1"

# The names of this machine for itself.
NAMES: Final = ("localhost", HOST, "::1")

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_GRPC: Final = "no_grpc_proxy"


def bypass_proxies() -> None:
    """Keep connections to this machine away from the proxies that the environment names.

    A proxy would dial its own loopback. Libraries (gRPC, httpx, websockets, botocore) read the
    exceptions from the environment, so they are set there, for child processes as well.
    """
    # On macOS a no_proxy alone would put the proxies of the system settings out of use.
    if not any(value and name.lower() in _PROXIES for name, value in os.environ.items()):
        return
    given = [os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY")]
    hosts = [host.strip() for text in given for host in text.split(",") if host.strip()]
    own = [host.strip() for host in os.environ.get(_GRPC, "").split(",") if host.strip()]
    # gRPC reads this one first, in lower case alone, and does not know that `*` means every host.
    os.environ[_GRPC] = ",".join(dict.fromkeys([*(own or hosts), *NAMES]))
    if "*" not in hosts:
        listed = ",".join(dict.fromkeys([*hosts, *NAMES]))
        os.environ.update(no_proxy=listed, NO_PROXY=listed)
