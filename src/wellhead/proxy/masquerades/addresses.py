"""Sets of addresses that can be cut: what a rule's networks take of some, and what they leave. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, summarize_address_range

from wellhead.ip import Family, IPAddress, IPNetwork

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Addresses:
    """Some of one family's addresses, as ranges of numbers: in order, apart, both ends in them."""

    family: Family
    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def within(cls, family: Family, networks: Iterable[IPNetwork]) -> Addresses:
        """Those of networks; the other family's are left out."""
        of_family = (each for each in networks if each.version == family)
        return cls.between(family, ((each[0], each[-1]) for each in of_family))

    @classmethod
    def between(cls, family: Family, ends: Iterable[tuple[IPAddress, IPAddress]]) -> Addresses:
        """Those of ranges, in any order."""
        return cls(family, _joined((int(first), int(last)) for first, last in ends))

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __or__(self, other: Addresses) -> Addresses:
        return Addresses(self.family, _joined((*self.ranges, *other.ranges)))

    def __and__(self, other: Addresses) -> Addresses:
        found = []
        mine, others = iter(self.ranges), iter(other.ranges)
        one, two = next(mine, None), next(others, None)
        while one is not None and two is not None:
            first, last = max(one[0], two[0]), min(one[1], two[1])
            if first <= last:
                found.append((first, last))
            if one[1] < two[1]:
                one = next(mine, None)
            else:
                two = next(others, None)
        return Addresses(self.family, tuple(found))

    def __sub__(self, other: Addresses) -> Addresses:
        found = []
        for first, last in self.ranges:
            for begin, end in other.ranges:
                if begin > last:
                    break
                if end < first:
                    continue
                if begin > first:
                    found.append((first, begin - 1))
                first = end + 1
            if first <= last:
                found.append((first, last))
        return Addresses(self.family, tuple(found))

    @property
    def is_one(self) -> bool:
        """Whether it is a single address."""
        return len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]

    def named(self) -> str:
        """Their networks, for people; empty if these are many."""
        found: list[IPNetwork] = []
        for first, last in self.ranges:
            ends = (_address(self.family, first), _address(self.family, last))
            found += summarize_address_range(*ends)
            if len(found) > _MOST_NAMED:
                return ""
        return ", ".join(map(str, found))


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        elif first <= last:
            found.append((first, last))
    return tuple(found)


def _address(family: Family, number: int) -> IPAddress:
    return ip_address(number.to_bytes(4 if family is Family.IPV4 else 16, "big"))


def everything(family: Family) -> Addresses:
    """All there are."""
    return Addresses.within(family, (family.everywhere,))
