"""Who holds which VIP. No I/O: the controller fills it from Services' status and asks it from then on."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from wellhead.api.meta import Key
from wellhead.cloud.pools import Asker, Pool, Range, is_buggy, of_network
from wellhead.ip import IPAddress, IPNetwork


class VIPUnavailable(Exception):
    """There is no such VIP to be had now. The text says why; it ends up in an event."""


@dataclass(frozen=True)
class Tenancy:
    """How a Service lives at an address. Two may share one if they have agreed to, and their ports differ.

    `agreement` is what must be alike: a key that they chose, and what makes their traffic go the same ways;
    empty: it shares with nobody. `ports` are ("tcp" or "udp", port).
    """

    agreement: tuple[str, ...] = ()
    ports: frozenset[tuple[str, int]] = frozenset()

    def gets_on_with(self, other: Tenancy) -> bool:
        return bool(self.agreement) and self.agreement == other.agreement and not self.ports & other.ports


@dataclass(frozen=True)
class Usage:
    """How many of a pool's VIPs of one IP version Services hold, of how many to be had."""

    pool: str
    version: int
    held: int
    size: int


ALONE = Tenancy()
ANYBODY = Asker("", {})


class VIPPool:
    """The addresses of some pools. A Service holds at most one a family, alone unless all its tenants agree.

    Which free address a Service gets is random, so that one that was just released, and that somebody may
    still be talking to, rarely comes back at once; who shares moves in where there is room.
    """

    def __init__(self, pools: Iterable[Pool], rng: random.Random | None = None) -> None:
        self.pools = tuple(sorted(pools, key=lambda each: each.order))
        self._rng = rng or random.Random()
        self._tenants: dict[IPAddress, dict[Key, Tenancy]] = {}
        self._held: dict[Key, dict[int, IPAddress]] = {}  # by IP version
        self._by_agreement: dict[tuple[str, ...], dict[IPAddress, None]] = {}

    @classmethod
    def of(cls, networks: Iterable[IPNetwork], rng: random.Random | None = None) -> Self:
        """Of plain networks, for everybody."""
        return cls(map(of_network, networks), rng)

    def __len__(self) -> int:
        """How many VIPs are held."""
        return len(self._tenants)

    @property
    def size(self) -> int:
        """How many VIPs there are to be given."""
        return sum(each.size for each in self.usage())

    def usage(self) -> Iterator[Usage]:
        """For each pool, and each IP version that it has addresses of."""
        held = [[each for each in self._tenants if pool.holds(each)] for pool in self.pools]
        for pool, mine in zip(self.pools, held, strict=True):
            for version in sorted({each.version for each in pool.ranges}):
                count = sum(each.version == version for each in mine)
                yield Usage(pool.name, version, count, pool.size(version))

    def serves(self, version: int, asker: Asker = ANYBODY) -> bool:
        """Whether there are VIPs of this IP version (4 or 6) for a Service at all."""
        return any(
            each.version == version
            for pool in self.pools
            if asker is ANYBODY or pool.admits(asker)
            for each in pool.ranges
        )

    def held_by(self, service: Key) -> frozenset[IPAddress]:
        """The VIPs that this Service holds."""
        return frozenset(self._held.get(service, {}).values())

    def tenants(self, address: IPAddress) -> frozenset[Key]:
        """The Services that hold an address."""
        return frozenset(self._tenants.get(address, ()))

    def tenancies(self, service: Key) -> dict[IPAddress, Tenancy]:
        """What this Service holds, and how."""
        return {each: self._tenants[each][service] for each in self._held.get(service, {}).values()}

    def restore(self, service: Key, held: Mapping[IPAddress, Tenancy]) -> None:
        """Have the Service hold what `tenancies` said before, if nobody else has changed anything since."""
        self.release(service, keep=held)
        for address, tenancy in held.items():
            self._hold(service, address, tenancy)

    def claim(
        self, service: Key, address: IPAddress, tenancy: Tenancy = ALONE, asker: Asker | None = None
    ) -> None:
        """Give `address` to the Service instead of what it holds of that family.

        `asker` None: it has it already, so it doesn't matter any more whom the pool is for.

        Raises:
            VIPUnavailable: it is another Service's, or not to be had. The Service keeps what it holds.
        """
        pool = next((each for each in self.pools if each.holds(address)), None)
        if pool is None:
            avoiding = [each.name for each in self.pools if any(address in found for found in each.ranges)]
            if avoiding:
                raise VIPUnavailable(f"{address} ends in .0 or .255: pool {avoiding[0]} has avoidBuggyIPs")
            raise VIPUnavailable(f"{address} is not in the pool of load balancer addresses ({self._names()})")
        if asker is not None and not pool.admits(asker):
            raise VIPUnavailable(f"{address} is in pool {pool.name}, which is not for this Service")
        for other, theirs in self._tenants.get(address, {}).items():
            if other != service and not tenancy.gets_on_with(theirs):
                raise VIPUnavailable(_conflict(address, other, tenancy, theirs))
        self._hold(service, address, tenancy)

    def allocate(
        self, service: Key, version: int, tenancy: Tenancy = ALONE, asker: Asker = ANYBODY
    ) -> IPAddress:
        """The VIP of IP `version` (4 or 6) that the Service holds, or one that it holds from now on.

        Raises:
            VIPUnavailable: all are in use, or no pool has any of this family for it.
        """
        held = self._held.get(service, {}).get(version)
        if held is not None and self._may_stay(service, held, tenancy, asker):
            self._hold(service, held, tenancy)
            return held
        pools = [
            each
            for each in self.pools
            if any(found.version == version for found in each.ranges)
            and (each.gives_to(asker) if asker is not ANYBODY else each.auto_assign)
        ]
        if not pools:
            raise VIPUnavailable(self._nothing(version, asker))
        address = self._shared(pools, version, tenancy) or self._unheld(pools, version)
        if address is None:
            names = ", ".join(map(str, pools))
            raise VIPUnavailable(f"the pool of IPv{version} load balancer addresses ({names}) is exhausted")
        self._hold(service, address, tenancy)
        return address

    def release(self, service: Key, keep: Collection[IPAddress] = ()) -> frozenset[IPAddress]:
        """Take the Service's VIPs back, except those to `keep`. Returns what it no longer holds."""
        gone = self.held_by(service) - frozenset(keep)
        for address in gone:
            self._leave(service, address)
        return gone

    def _may_stay(self, service: Key, address: IPAddress, tenancy: Tenancy, asker: Asker) -> bool:
        """Whether a Service keeps its address: unless it names another pool, or can't share it any more."""
        others = (theirs for other, theirs in self._tenants[address].items() if other != service)
        if not all(tenancy.gets_on_with(theirs) for theirs in others):
            return False
        return not asker.pool or any(each.name == asker.pool and each.holds(address) for each in self.pools)

    def _hold(self, service: Key, address: IPAddress, tenancy: Tenancy) -> None:
        before = self._held.get(service, {}).get(address.version)
        if before is not None:
            self._leave(service, before)
        self._tenants.setdefault(address, {})[service] = tenancy
        self._held.setdefault(service, {})[address.version] = address
        if tenancy.agreement:
            self._by_agreement.setdefault(tenancy.agreement, {})[address] = None

    def _leave(self, service: Key, address: IPAddress) -> None:
        tenants = self._tenants[address]
        agreement = tenants.pop(service).agreement
        if not any(each.agreement == agreement for each in tenants.values()):
            self._by_agreement.get(agreement, {}).pop(address, None)
            if not self._by_agreement.get(agreement, True):
                del self._by_agreement[agreement]
        if not tenants:
            del self._tenants[address]
        del self._held[service][address.version]
        if not self._held[service]:
            del self._held[service]

    def _shared(self, pools: Iterable[Pool], version: int, tenancy: Tenancy) -> IPAddress | None:
        """An address whose tenants all agree."""
        if not tenancy.agreement:
            return None
        for address in self._by_agreement.get(tenancy.agreement, ()):
            if (
                address.version == version
                and any(each.holds(address) for each in pools)
                and all(tenancy.gets_on_with(each) for each in self._tenants[address].values())
            ):
                return address
        return None

    def _unheld(self, pools: Iterable[Pool], version: int) -> IPAddress | None:
        """An address that nobody holds."""
        for pool in pools:
            for each in pool.ranges:
                if each.version == version and (address := self._free(each, pool.avoid_buggy)) is not None:
                    return address
        return None

    def _free(self, found: Range, avoid_buggy: bool) -> IPAddress | None:
        size = found.size
        start = self._rng.randrange(size)
        # At most as many steps as there are VIPs in use, however large the range is. One in 128 is buggy.
        most = len(self._tenants) + 1
        for step in range(min(size, most + most // 64 + 4 if avoid_buggy else most)):
            address = found[(start + step) % size]
            if address not in self._tenants and not (avoid_buggy and is_buggy(address)):
                return address
        return None

    def _names(self) -> str:
        return ", ".join(map(str, self.pools))

    def _nothing(self, version: int, asker: Asker) -> str:
        if asker.pool and asker.pool not in {each.name for each in self.pools}:
            return f"there is no pool {asker.pool}: there are {self._names()}"
        if asker.pool:
            return f"pool {asker.pool} has no IPv{version} address, or is not for this Service"
        if self.serves(version):
            return f"no pool of load balancer addresses gives an IPv{version} one to this Service"
        return f"the pool of load balancer addresses has no IPv{version} network"


def _conflict(address: IPAddress, other: Key, mine: Tenancy, theirs: Tenancy) -> str:
    name = "/".join(other)
    if mine.agreement and mine.agreement == theirs.agreement:
        both = ", ".join(f"{port}/{protocol}" for protocol, port in sorted(mine.ports & theirs.ports))
        return f"{address} is shared with Service {name}, which has port {both} there already"
    return f"{address} is already in use by Service {name}"
