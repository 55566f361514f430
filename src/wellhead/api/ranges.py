"""Where addresses and port numbers are drawn from: at random, in two bands.

The lower band of a range is left to people who choose for themselves, while the rest lasts (KEP-3070 for
ClusterIPs, KEP-3668 for node ports).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import chain
from typing import NamedTuple, TypeVar

T = TypeVar("T")
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_RANDOM_TRIES = 32
# As far into an IPv6 network as random numbers reach: len() of a range takes no more.
_FARTHEST = 1 << 62


def family_of(network: Network | Address) -> str:
    """ "IPv4" or "IPv6", as the API names them."""
    return f"IPv{network.version}"


def is_usable(address: Address, network: Network) -> bool:
    """Whether a Service may have the address: not the network's own one, nor (IPv4) the broadcast address."""
    if address not in network or address == network.network_address:
        return False
    return address.version == 6 or address != network.broadcast_address


def free_port(ports: range, taken: Container[int]) -> int | None:
    """A random free node port, None when there is none left."""
    band = min(max(16, len(ports) // 32), 128) if len(ports) > 16 else 0
    for part in (ports[band:], ports[:band]):
        number = _free(part, int, taken)
        if number is not None:
            return number
    return None


class _Band(NamedTuple):
    """A part of a network, as offsets. A reserve is drawn from when there is nothing else."""

    is_reserve: bool
    network: Network
    offsets: range

    def draw(self, taken: Container[Address]) -> Address | None:
        return _free(self.offsets, self.network.__getitem__, taken)


@dataclass
class AddressRanges:
    """The networks that addresses are drawn from. They may overlap.

    Which parts of them were found to be used up is remembered until an address comes back, so that a range
    that is full costs the next draw nothing.
    """

    networks: tuple[Network, ...]
    _bands: dict[str, list[_Band]] = field(init=False, repr=False, compare=False)
    _full: set[_Band] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        self._bands = {"IPv4": [], "IPv6": []}
        for network in self.networks:
            for is_reserve, offsets in enumerate(_bands(network)):
                self._bands[family_of(network)].append(_Band(bool(is_reserve), network, offsets))

    def holds(self, address: Address) -> bool:
        """Whether the address may be given to a Service."""
        return any(is_usable(address, network) for network in self.networks)

    def draw(self, family: str, taken: Container[Address]) -> Address | None:
        """A random free address of the family, None when there is none left."""
        bands = [band for band in self._bands[family] if band not in self._full]
        if len(bands) > 2:  # more than one network: none is better than another
            random.shuffle(bands)
        for band in sorted(bands, key=lambda band: band.is_reserve):
            address = band.draw(taken)
            if address is not None:
                return address
            self._full.add(band)
        return None

    def returned(self) -> None:
        """An address is free again."""
        self._full.clear()


def _bands(network: Network) -> tuple[range, range]:
    """The offsets of a network's usable addresses: for everybody, and for people as long as possible."""
    last = network.num_addresses - (2 if network.version == 4 else 1)
    offsets = range(1, min(last, _FARTHEST) + 1)
    band = min(max(16, len(offsets) // 16), 256)
    return offsets[band:], offsets[:band]


def _free(part: range, numbered: Callable[[int], T], taken: Container[T]) -> T | None:
    """What has a random number and is free. Only where chance finds none, one after the other is asked."""
    if not part:
        return None
    for _ in range(_RANDOM_TRIES):
        if (found := numbered(random.choice(part))) not in taken:
            return found
    start = random.randrange(len(part))
    others = map(numbered, chain(part[start:], part[:start]))
    return next((each for each in others if each not in taken), None)
