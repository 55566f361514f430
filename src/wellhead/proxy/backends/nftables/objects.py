"""nftables' vocabulary as values: types, sets and maps, chains, rules, elements, and transactions of them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec


class Type(NamedTuple):
    """A data type of set keys and values, as nft knows it (`nft describe`)."""

    name: str
    number: int
    size: int
    """In bytes. Within a key of several fields each takes up whole 32-bit words."""
    host_order: bool = False

    @property
    def padded(self) -> int:
        return (self.size + 3) & ~3


INTEGER = Type("integer", 4, 4, host_order=True)
IPV4_ADDR = Type("ipv4_addr", 7, 4)
IPV6_ADDR = Type("ipv6_addr", 8, 16)
INET_PROTO = Type("inet_proto", 12, 1)
INET_SERVICE = Type("inet_service", 13, 2)
CLASSID = Type("classid", 23, 4, host_order=True)


class SetFlag(enum.IntFlag):
    """What a set can do (NFT_SET_…)."""

    INTERVAL = 0x4
    MAP = 0x8
    TIMEOUT = 0x10
    DYNAMIC = 0x20
    CONCAT = 0x80


NO_FLAGS = SetFlag(0)


@dataclass(frozen=True, slots=True)
class Set:
    """A set, or with `data` a map."""

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] | Literal["verdict"] | None = None
    flags: SetFlag = NO_FLAGS
    size: int = 0
    """The most elements it may hold; 0: no limit."""
    userdata: bytes = b""
    """What nft needs to print the types by example (`typeof`) where they have no names."""

    @property
    def key_length(self) -> int:
        return _length(self.key)

    @property
    def data_length(self) -> int:
        if self.data is None:
            return 0
        return 16 if self.data == "verdict" else _length(self.data)


def _length(types: tuple[Type, ...]) -> int:
    return types[0].size if len(types) == 1 else sum(each.padded for each in types)


class Verdict(NamedTuple):
    """Where a packet goes: to a chain, for good or until that returns."""

    chain: str
    returns: bool = False

    def __str__(self) -> str:
        return f"{'jump' if self.returns else 'goto'} {self.chain}"


class ElementKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """What identifies an element among all of a table."""

    set: str
    key: bytes
    key_end: bytes = b""
    """The last key of an interval of several fields; empty: no interval."""
    interval_end: bool = False
    """In an interval set of one field: `key` is the first that is no longer in the interval."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """An element of a set or map."""

    id: ElementKey
    data: bytes | Verdict | None = None
    comment: str = ""


class Hook(NamedTuple):
    """Where the kernel calls a base chain."""

    type: str
    """nat or filter."""
    name: str
    """prerouting, input, forward, output or postrouting."""
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain and its rules."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Expressions, in the encoding that the kernel prints them in (see `expressions.py`)."""

    expressions: bytes
    comment: str = ""


@dataclass(slots=True)
class Transaction:
    """Changes to one table that come into force together."""

    rebuild: bool = False
    """Remove the table and all that is in it first."""
    add_table: bool = False
    add_sets: list[Set] = field(default_factory=list)
    add_chains: list[Chain] = field(default_factory=list)
    """Chains that are not there yet."""
    replace_rules: list[Chain] = field(default_factory=list)
    """Chains that are there, with other rules."""
    delete_elements: list[ElementKey] = field(default_factory=list)
    add_elements: list[Element] = field(default_factory=list)
    delete_chains: list[str] = field(default_factory=list)
    delete_sets: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return (
            self.rebuild
            or self.add_table
            or any(
                (
                    self.add_sets,
                    self.add_chains,
                    self.replace_rules,
                    self.delete_elements,
                    self.add_elements,
                    self.delete_chains,
                    self.delete_sets,
                )
            )
        )

    def stages(self, elements: int) -> Iterator[Transaction]:
        """The same in several transactions of so many `elements`, where that can be seen by no packet.

        That is where there is no table yet: the last one adds the chains that have hooks. The kernel's hash
        tables grow in the background, which on a kernel without preemption is not before a transaction's end:
        what a large one adds goes into tables that are too small, which takes several times as long.
        """
        if self.rebuild or not self.add_table or len(self.add_elements) <= elements:
            yield self
            return
        yield Transaction(
            add_table=True,
            add_sets=self.add_sets,
            add_chains=[each for each in self.add_chains if each.hook is None],
        )
        for first in range(0, len(self.add_elements), elements):
            yield Transaction(add_elements=self.add_elements[first : first + elements])
        yield Transaction(add_chains=[each for each in self.add_chains if each.hook is not None])

    @property
    def size(self) -> int:
        """About how many things it changes."""
        return len(self.add_elements) + len(self.delete_elements) + len(self.add_chains)
