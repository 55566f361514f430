"""nftables' vocabulary as values: tables, sets, maps, chains, rules, elements, and transactions of them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec

from wellhead.ip import Family
from wellhead.linux.nftables import typeof
from wellhead.linux.nftables.expressions import Described
from wellhead.linux.nftables.statements import Statement, Verdict
from wellhead.linux.nftables.types import Type

COMMENT_LENGTH = 127
"""The most bytes of a comment that nft shows (NFTNL_UDATA_COMMENT_MAXLEN, less its final zero)."""

_NAMED_PRIORITIES = {-300: "raw", -150: "mangle", -100: "dstnat", 0: "filter", 50: "security", 100: "srcnat"}
_NAMED_IN = {"dstnat": ("prerouting",), "srcnat": ("postrouting",)}  # elsewhere nft writes the number
_NEAR = 10  # a priority that is so near to a named one is written as that and a difference


class SetFlag(enum.IntFlag):
    """What a set can do (NFT_SET_…)."""

    ANONYMOUS = 0x1
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
    described: tuple[tuple[Described, ...], tuple[Described, ...]] | None = None
    """Key and data by example (`typeof`), which nft needs to write types that have no names."""

    @property
    def key_length(self) -> int:
        return _length(self.key)

    @property
    def data_length(self) -> int:
        if self.data is None:
            return 0
        return 16 if self.data == "verdict" else _length(self.data)

    @property
    def is_ranges(self) -> bool:
        """Whether its elements are the ends of intervals, each an element of its own."""
        return SetFlag.INTERVAL in self.flags and len(self.key) == 1

    @property
    def all_flags(self) -> SetFlag:
        """Those that follow from its types included."""
        flags = self.flags
        if self.data is not None:
            flags |= SetFlag.MAP
        if SetFlag.INTERVAL in flags and len(self.key) > 1:
            flags |= SetFlag.CONCAT
        return flags

    @property
    def userdata(self) -> bytes:
        """What nft has to know, and the kernel keeps for it."""
        named = self.data not in (None, "verdict")
        data_order = _byte_order(self.data) if isinstance(self.data, tuple) and named else None
        if self.described is None:
            return typeof.byte_orders(_byte_order(self.key), data_order)
        key, data = ([each.typeof for each in fields] for fields in self.described)
        return typeof.described(key, data, _byte_order(self.key), data_order or 0)


def _length(types: tuple[Type, ...]) -> int:
    return types[0].size if len(types) == 1 else sum(each.padded for each in types)


def _byte_order(types: tuple[Type, ...]) -> int:
    return 0 if len(types) > 1 else 1 if types[0].host_order else 2


@dataclass(frozen=True)
class Table:
    """A table and what it declares."""

    family: Family
    name: str
    sets: tuple[Set, ...] = ()
    """By what refers to what."""
    owned: bool = False
    """Whether nobody else may change, flush or delete it while its process lives, and it stays afterwards:
    NFT_TABLE_F_OWNER and _PERSIST, of Linux 6.9. Elsewhere it is as any other."""

    @cached_property
    def lengths(self) -> dict[str, tuple[int, int]]:
        """Of keys and of data, by set."""
        return {each.name: (each.key_length, each.data_length) for each in self.sets}

    def __str__(self) -> str:
        return f"table {self.family.nft} {self.name}"


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

    def __str__(self) -> str:
        return f"type {self.type} hook {self.name} priority {self._priority()}; policy accept;"

    def _priority(self) -> str:
        for named, word in _NAMED_PRIORITIES.items():
            off = self.priority - named
            if abs(off) <= _NEAR and self.name in _NAMED_IN.get(word, (self.name,)):
                return word if not off else f"{word} {'+' if off > 0 else '-'} {abs(off)}"
        return str(self.priority)


class EncodedRule(NamedTuple):
    """A rule as the kernel holds it."""

    expressions: bytes
    comment: str


@dataclass(frozen=True)
class Rule:
    """What is asked of a packet, and what is done with one that all of it is true of."""

    statements: tuple[Statement, ...]
    comment: str = ""

    @cached_property
    def encoded(self) -> EncodedRule:
        return EncodedRule(b"".join(each.encoded for each in self.statements), self.comment)

    def __str__(self) -> str:
        words = [str(each) for each in self.statements]
        return " ".join([*words, f'comment "{self.comment}"'] if self.comment else words)


def rule(*statements: Statement, comment: str = "") -> Rule:
    return Rule(statements, comment)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain and its rules."""

    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None

    @property
    def encoded(self) -> EncodedChain:
        return EncodedChain(tuple(each.encoded for each in self.rules), self.hook)

    def __str__(self) -> str:
        """As nft lists it."""
        lines = [str(self.hook)] if self.hook is not None else []
        lines += [str(each) for each in self.rules]
        return "\n".join([f"chain {self.name} {{", *(f"\t{each}" for each in lines), "}"])


class EncodedChain(NamedTuple):
    """A chain as the kernel holds it."""

    rules: tuple[EncodedRule, ...]
    hook: Hook | None = None


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
