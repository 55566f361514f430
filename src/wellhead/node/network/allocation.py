"""Which address a new pod gets."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path


class NoAddressLeft(Exception):
    """Every address of the node's pod CIDR is a pod's."""


def gateway(network: IPv4Network) -> IPv4Address:
    """The node's own address in its pod CIDR: the first one."""
    return network[1]


def next_address(network: IPv4Network, used: Iterable[IPv4Address], last: IPv4Address | None) -> IPv4Address:
    """The first free address after `last`, going around: the one that was free for the longest.

    An address that has just become free is used again as late as possible, since others may still remember
    its former pod. Raises NoAddressLeft.
    """
    taken = set(used)
    first, size = int(network.network_address) + 2, network.num_addresses - 3
    start = int(last) + 1 - first if last is not None and last in network else 0
    for offset in range(size):
        address = IPv4Address(first + (start + offset) % size)
        if address not in taken:
            return address
    raise NoAddressLeft(f"all {size} pod addresses of {network} are in use")


class AddressPool:
    """The addresses of a node's pod CIDR; remembers in `cursor` (a file) which one it gave out last."""

    def __init__(self, network: IPv4Network, cursor: Path) -> None:
        self.network = network
        self._cursor = cursor
        self._used: set[IPv4Address] = set()
        try:
            self._last: IPv4Address | None = IPv4Address(cursor.read_text().strip())
        except (OSError, ValueError):
            self._last = None

    def take(self, address: IPv4Address) -> None:
        """Mark the address of a pod that is there already."""
        self._used.add(address)

    def allocate(self) -> IPv4Address:
        """An address that is now in use. Raises NoAddressLeft."""
        self._last = next_address(self.network, self._used, self._last)
        self._used.add(self._last)
        self._cursor.write_text(f"{self._last}\n")
        return self._last

    def release(self, address: IPv4Address) -> None:
        """Say that no pod has the address any more."""
        self._used.discard(address)
