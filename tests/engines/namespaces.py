"""What a container engine gives services: a network each, and names for the others; as root."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Of no other use on this machine, it is hoped, and not of another run of the tests.
_SUBNET = f"10.213.{os.getpid() % 256}"
_PREFIX = "nsf"
# The name of an interface has 15 characters at most.
_BRIDGE = f"{_PREFIX}{os.getpid()}"


def are_possible() -> bool:
    """Whether this process may make networks."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return done.returncode == 0


@dataclass
class Networks:
    """A bridge, and a network namespace for each service behind it.

    Attributes:
      place: a folder for the file of their names.
      addresses: of each service.
    """

    place: Path
    addresses: dict[str, str] = field(default_factory=dict)

    def add(self, service: str) -> None:
        """Makes the network of a service, which the others then know by its name."""
        number = len(self.addresses) + 2
        space, ours, theirs = _space(service), f"{_BRIDGE}v{number}", "eth0"
        _ip("netns", "add", space)
        self.addresses[service] = f"{_SUBNET}.{number}"
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", space)
        _ip("link", "set", ours, "master", _BRIDGE, "up")
        _ip("-n", space, "address", "add", f"{self.addresses[service]}/24", "dev", theirs)
        _ip("-n", space, "link", "set", theirs, "up")
        _ip("-n", space, "link", "set", "lo", "up")
        lines = [f"{address} {name}" for name, address in self.addresses.items()]
        (self.place / "hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def command(
        self, service: str, command: Sequence[str | Path], *, programs: Path | None = None
    ) -> list[str]:
        """A command in the network of a service.

        Args:
          programs: a folder that stands there as /opt.
        """
        steps = [f"hostname {service}", f"mount --bind {self.place / 'hosts'} /etc/hosts"]
        if programs:
            steps.append(f"mount --bind {programs} /opt")
        # `ip netns exec` has mounts of its own, which end with the process.
        inside = ["unshare", "--uts", "sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh"]
        return ["ip", "netns", "exec", _space(service), *inside, *map(str, command)]


@contextmanager
def networks(place: Path) -> Iterator[Networks]:
    """Networks as long as the block lasts."""
    _remove_leftovers()
    _ip("link", "add", "name", _BRIDGE, "type", "bridge")
    made = Networks(place)
    try:
        _ip("address", "add", f"{_SUBNET}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        yield made
    finally:
        for service in made.addresses:
            _ip("netns", "delete", _space(service))
        _ip("link", "delete", _BRIDGE)


def _space(service: str) -> str:
    return f"{_BRIDGE}-{service}"


def _remove_leftovers() -> None:
    """Removes the networks of test processes that were killed."""
    for path in Path("/run/netns").glob(f"{_PREFIX}*-*"):
        number = path.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not Path("/proc", number).exists():
            _ip("netns", "delete", path.name)
            bridge = f"{_PREFIX}{number}"
            subprocess.run(["ip", "link", "delete", bridge], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
