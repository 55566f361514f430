"""Who holds which VIP. No I/O: the controller fills it from Services' status and asks it from then on."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable

from wellhead.api.meta import Key
from wellhead.ip import IPAddress, IPNetwork


class VIPUnavailable(Exception):
    """There is no such VIP to be had now. The text says why; it ends up in an event."""


class VIPPool:
    """The addresses of some networks, each held by at most one Service; a Service holds at most one a family.

    Network and broadcast addresses are never given. Which free address a Service gets is random, so that one
    that was just released, and that somebody may still be talking to, rarely comes back at once.
    """

    def __init__(self, networks: Iterable[IPNetwork], rng: random.Random | None = None) -> None:
        self.networks = tuple(networks)
        self._rng = rng or random.Random()
        self._holders: dict[IPAddress, Key] = {}
        self._held: dict[Key, dict[int, IPAddress]] = {}  # by IP version

    def __len__(self) -> int:
        """How many VIPs are held."""
        return len(self._holders)

    @property
    def size(self) -> int:
        """How many VIPs there are."""
        return sum(last - first + 1 for first, last in map(_usable, self.networks))

    def serves(self, version: int) -> bool:
        """Whether there are VIPs of this IP version (4 or 6) at all."""
        return any(network.version == version for network in self.networks)

    def held_by(self, service: Key) -> frozenset[IPAddress]:
        """The VIPs that this Service holds."""
        return frozenset(self._held.get(service, {}).values())

    def claim(self, service: Key, address: IPAddress) -> None:
        """Give `address` to the Service instead of what it holds of that family.

        Raises:
            VIPUnavailable: it is another Service's, or not in the pool. The Service keeps what it holds.
        """
        holder = self._holders.get(address)
        if holder == service:
            return
        if not self._contains(address):
            networks = ", ".join(map(str, self.networks))
            raise VIPUnavailable(f"{address} is not in the pool of load balancer addresses ({networks})")
        if holder is not None:
            raise VIPUnavailable(f"{address} is already in use by Service {'/'.join(holder)}")
        self._hold(service, address)

    def allocate(self, service: Key, version: int) -> IPAddress:
        """The VIP of IP `version` (4 or 6) that the Service holds, or a free one that it holds from now on.

        Raises:
            VIPUnavailable: all are in use, or the pool has none of this family.
        """
        held = self._held.get(service, {}).get(version)
        if held is not None:
            return held
        networks = [network for network in self.networks if network.version == version]
        if not networks:
            raise VIPUnavailable(f"the pool of load balancer addresses has no IPv{version} network")
        for network in networks:
            if (address := self._free(network)) is not None:
                self._hold(service, address)
                return address
        raise VIPUnavailable(
            f"the pool of load balancer addresses ({', '.join(map(str, networks))}) is exhausted"
        )

    def release(self, service: Key, keep: Collection[IPAddress] = ()) -> frozenset[IPAddress]:
        """Take the Service's VIPs back, except those to `keep`. Returns what it no longer holds."""
        gone = self.held_by(service) - frozenset(keep)
        for address in gone:
            del self._holders[address]
            del self._held[service][address.version]
        if not self._held.get(service):
            self._held.pop(service, None)
        return gone

    def _hold(self, service: Key, address: IPAddress) -> None:
        held = self._held.setdefault(service, {})
        if (before := held.get(address.version)) is not None:
            del self._holders[before]
        self._holders[address] = service
        held[address.version] = address

    def _contains(self, address: IPAddress) -> bool:
        for network in self.networks:
            first, last = _usable(network)
            if address.version == network.version and first <= int(address) <= last:
                return True
        return False

    def _free(self, network: IPNetwork) -> IPAddress | None:
        first, last = _usable(network)
        size = last - first + 1
        start = self._rng.randrange(size)
        # At most as many steps as there are VIPs in use, however large the network is.
        for step in range(min(size, len(self._holders) + 1)):
            address = network[first - int(network.network_address) + (start + step) % size]
            if address not in self._holders:
                return address
        return None


def _usable(network: IPNetwork) -> tuple[int, int]:
    """The first and last address that a host can have, as numbers (RFC 3021: all of a /31)."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if last - first < 2:
        return first, last
    # The highest address of an IPv6 network is an ordinary one; the lowest is the routers' anycast address.
    return first + 1, last - 1 if network.version == 4 else last
