"""Which addresses a new pod gets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path

from wellhead.node.network.families import IPAddress, IPInterface, IPNetwork, within


class NoAddressLeft(Exception):
    """Every address of the node's pod CIDR is a pod's."""


def next_address(network: IPNetwork, used: Iterable[IPAddress], last: IPAddress | None) -> IPAddress:
    """The first free address after `last`, going around: the one that was free for the longest.

    An address that has just become free is used again as late as possible, since others may still remember
    its former pod. Raises NoAddressLeft.
    """
    taken = set(used)
    size = network.num_addresses - 3
    start = int(last) - 1 - int(network.network_address) if last is not None and last in network else 0
    for offset in range(min(size, len(taken) + 1)):
        address = network[2 + (start + offset) % size]
        if address not in taken:
            return address
    raise NoAddressLeft(f"all {size} pod addresses of {network} are in use")


class AddressPool:
    """The addresses of one pod CIDR; remembers in `cursor` (a file) which one it gave out last."""

    def __init__(self, network: IPNetwork, cursor: Path) -> None:
        self.network = network
        self._cursor = cursor
        self._used: set[IPAddress] = set()
        try:
            self._last: IPAddress | None = ip_address(cursor.read_text().strip())
        except (OSError, ValueError):
            self._last = None

    def take(self, address: IPAddress) -> None:
        """Mark the address of a pod that is there already."""
        self._used.add(address)

    def allocate(self) -> IPAddress:
        """An address that is now in use. Raises NoAddressLeft."""
        self._last = next_address(self.network, self._used, self._last)
        self._used.add(self._last)
        self._cursor.write_text(f"{self._last}\n")
        return self._last

    def release(self, address: IPAddress) -> None:
        """Say that no pod has the address any more."""
        self._used.discard(address)


class AddressPools:
    """A pool for each of the node's pod CIDRs, of which no two are of one family: a pod gets one of each."""

    def __init__(self, networks: Sequence[IPNetwork], directory: Path) -> None:
        self._pools = {
            network.version: AddressPool(network, directory / f"last-ipv{network.version}-address")
            for network in networks
        }

    def take(self, addresses: Iterable[IPAddress]) -> None:
        """Mark the addresses of a pod that is there already."""
        for address in addresses:
            if pool := self._pools.get(address.version):
                pool.take(address)

    def allocate(self) -> tuple[IPAddress, ...]:
        """Addresses that are now in use, in the order of the networks. Raises NoAddressLeft."""
        found: list[IPAddress] = []
        try:
            found.extend(pool.allocate() for pool in self._pools.values())
        except NoAddressLeft:
            self.release(found)
            raise
        return tuple(found)

    def release(self, addresses: Iterable[IPAddress]) -> None:
        """Say that no pod has these addresses any more."""
        for address in addresses:
            if pool := self._pools.get(address.version):
                pool.release(address)

    def interfaces(self, addresses: Iterable[IPAddress]) -> tuple[IPInterface, ...]:
        """The addresses with the prefix lengths of their networks. Raises KeyError if one has none."""
        return tuple(within(address, self._pools[address.version].network) for address in addresses)
