"""What rules look at: values that stand for something of a packet, a connection or a map.

Each writes itself in nft's words, and compiles to the kernel's expressions that leave its value in registers.
Those are numbered as 32-bit words here, 0 to 15; a value takes as many as it needs, several values
consecutive ones. Attributes are as and where the kernel dumps them, so that a rule read back is the same
bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wellhead.ip import Family
from wellhead.linux.netlink import attribute, text, u32
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables import typeof, types
from wellhead.linux.nftables.types import Type

_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_TO_NETWORK_ORDER = 1
_MASK_AND_XOR = 0
_FIB_TYPE = 3
_RANDOM = 1


class Value(Protocol):
    """A value in registers."""

    @property
    def types(self) -> tuple[Type, ...]:
        """Of each of its fields."""

    def load(self, word: int) -> bytes:
        """The expressions that put it into the registers from `word` on."""


class Described(Value, Protocol):
    """One that a set's type can be described by (`typeof`)."""

    @property
    def typeof(self) -> bytes:
        """In nft's own encoding."""


def nested(type: int, *parts: bytes) -> bytes:
    """As the kernel prints it: without the flag that says so."""
    return attribute(type, b"".join(parts))


def expression(name: str, *parts: bytes) -> bytes:
    """One of the kernel's expressions, as an element of a rule's list."""
    return nested(nfta.ListOf.ELEMENT, text(nfta.Expression.NAME, name), nested(nfta.Expression.DATA, *parts))


class Frame:
    """What is around a value of a given size in what `make` makes: quicker than to make it anew for each."""

    def __init__(self, make: Callable[[bytes], bytes], size: int) -> None:
        sample = b"~" * size
        self._before, self._after = make(sample).split(sample)

    def around(self, value: bytes) -> bytes:
        return self._before + value + self._after


def register(word: int) -> int:
    """NFT_REG_1…4 where a word is at a 128-bit register's start, NFT_REG32_00… elsewhere."""
    return 1 + word // 4 if word % 4 == 0 else 8 + word


def words(value: Value) -> int:
    """How many registers a value takes."""
    return sum(each.words for each in value.types)


def constant(type: int, value: bytes) -> bytes:
    """Data of an expression."""
    return nested(type, attribute(nfta.Data.VALUE, value))


class Meta(enum.Enum):
    """What is known of a packet besides its bytes: its number, its type, and nft's word."""

    PRIORITY = 2, types.CLASSID, "meta priority"
    MARK = 3, types.MARK, "meta mark"
    IIFNAME = 6, types.IFNAME, "iifname"
    OIFNAME = 7, types.IFNAME, "oifname"
    L4PROTO = 16, types.INET_PROTO, "meta l4proto"

    @property
    def types(self) -> tuple[Type, ...]:
        return (self.value[1],)

    @property
    def typeof(self) -> bytes:
        return typeof.meta(self.value[0])

    def load(self, word: int) -> bytes:
        return expression(
            "meta", u32(nfta.Meta.KEY, self.value[0]), u32(nfta.Meta.DESTINATION, register(word))
        )

    def store(self, word: int) -> bytes:
        """The expression that sets it to what is in the register."""
        return expression("meta", u32(nfta.Meta.KEY, self.value[0]), u32(nfta.Meta.SOURCE, register(word)))

    def __str__(self) -> str:
        return self.value[2]


PRIORITY, MARK, IIFNAME, OIFNAME, L4PROTO = Meta


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a header."""

    name: str
    """In nft's words."""
    type: Type
    base: int
    offset: int
    typeof: bytes

    @property
    def types(self) -> tuple[Type, ...]:
        return (self.type,)

    def load(self, word: int) -> bytes:
        return self.load_bytes(word, self.type.size)

    def load_bytes(self, word: int, count: int) -> bytes:
        """As `load`, of its first bytes alone."""
        return expression(
            "payload",
            u32(nfta.Payload.DESTINATION, register(word)),
            u32(nfta.Payload.BASE, self.base),
            u32(nfta.Payload.OFFSET, self.offset),
            u32(nfta.Payload.LENGTH, count),
        )

    def __str__(self) -> str:
        return self.name


SADDR = {
    Family.IPV4: Field("ip saddr", types.IPV4_ADDR, _NETWORK_HEADER, 12, typeof.payload(12, 11)),
    Family.IPV6: Field("ip6 saddr", types.IPV6_ADDR, _NETWORK_HEADER, 8, typeof.payload(13, 8)),
}
DADDR = {
    Family.IPV4: Field("ip daddr", types.IPV4_ADDR, _NETWORK_HEADER, 16, typeof.payload(12, 12)),
    Family.IPV6: Field("ip6 daddr", types.IPV6_ADDR, _NETWORK_HEADER, 24, typeof.payload(13, 9)),
}
TH_DPORT = Field("th dport", types.INET_SERVICE, _TRANSPORT_HEADER, 2, typeof.payload(11, 2))
"""The destination port: at the same place in TCP, UDP and SCTP."""
TH_SPORT = Field("th sport", types.INET_SERVICE, _TRANSPORT_HEADER, 0, typeof.payload(11, 1))
ICMPV6_TYPE = Field("icmpv6 type", types.ICMPV6_TYPE, _TRANSPORT_HEADER, 0, typeof.payload(14, 1))


@dataclass(frozen=True, slots=True)
class Ct:
    """Something that conntrack knows of a packet's connection."""

    key: int
    type: Type
    name: str
    """In nft's words."""
    original: bool = False
    """Of where the connection was opened to, before anything was translated."""

    @property
    def types(self) -> tuple[Type, ...]:
        return (self.type,)

    def load(self, word: int) -> bytes:
        kind = nfta.ConnectionTracking
        direction = attribute(kind.DIRECTION, b"\0") if self.original else b""
        return expression("ct", u32(kind.DESTINATION, register(word)), u32(kind.KEY, self.key), direction)

    def __str__(self) -> str:
        return f"ct {'original ' if self.original else ''}{self.name}"


CT_STATE = Ct(0, types.CT_STATE, "state")
CT_DIRECTION = Ct(1, types.CT_DIR, "direction")
CT_STATUS = Ct(2, types.CT_STATUS, "status")
ORIGINAL_DADDR = {
    Family.IPV4: Ct(20, types.IPV4_ADDR, "ip daddr", original=True),
    Family.IPV6: Ct(22, types.IPV6_ADDR, "ip6 daddr", original=True),
}
ORIGINAL_DPORT = Ct(12, types.INET_SERVICE, "proto-dst", original=True)


class Fib(enum.Enum):
    """What kind of address a packet's source or destination is to this machine."""

    SADDR_TYPE = 1, "fib saddr type"
    DADDR_TYPE = 2, "fib daddr type"

    @property
    def types(self) -> tuple[Type, ...]:
        return (types.FIB_ADDRTYPE,)

    def load(self, word: int) -> bytes:
        return expression(
            "fib",
            u32(nfta.Fib.DESTINATION, register(word)),
            u32(nfta.Fib.RESULT, _FIB_TYPE),
            u32(nfta.Fib.FLAGS, self.value[0]),
        )

    def __str__(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Random:
    """A number below `modulus`, another one for each packet."""

    modulus: int

    @property
    def types(self) -> tuple[Type, ...]:
        return (types.INTEGER,)

    @property
    def typeof(self) -> bytes:
        return typeof.numgen(_RANDOM, self.modulus)

    def load(self, word: int) -> bytes:
        kind = nfta.NumberGenerator
        return expression(
            "numgen",
            u32(kind.DESTINATION, register(word)),
            u32(kind.MODULUS, self.modulus),
            u32(kind.TYPE, _RANDOM),
            u32(kind.OFFSET, 0),
        )

    def __str__(self) -> str:
        return f"numgen random mod {self.modulus}"


@dataclass(frozen=True, slots=True)
class Bits:
    """Some bits of a value of one word in the host's order, `of & mask | add`."""

    of: Meta | Ct
    mask: int
    add: int = 0
    """Bits that are set whatever they were."""

    @property
    def types(self) -> tuple[Type, ...]:
        return self.of.types

    def load(self, word: int) -> bytes:
        [of] = self.types
        mask = of.pack(self.mask & ~self.add & 0xFFFFFFFF)
        return self.of.load(word) + bitwise(word, mask, of.pack(self.add))

    def __str__(self) -> str:
        [of] = self.types
        kept = (self.mask | self.add) & 0xFFFFFFFF
        found = str(self.of)
        if kept != 0xFFFFFFFF:
            found += f" & {of.write(of.pack(kept))}"
        if self.add:
            found += f" | {of.write(of.pack(self.add))}"
        return found


@dataclass(frozen=True, slots=True)
class NetworkOrder:
    """A number of the host's order, as interval sets of several fields hold it. nft doesn't write it."""

    of: Value

    @property
    def types(self) -> tuple[Type, ...]:
        return self.of.types

    def load(self, word: int) -> bytes:
        kind, [of] = nfta.ByteOrder, self.types
        return self.of.load(word) + expression(
            "byteorder",
            u32(kind.SOURCE, register(word)),
            u32(kind.DESTINATION, register(word)),
            u32(kind.OPERATION, _TO_NETWORK_ORDER),
            u32(kind.LENGTH, of.size),
            u32(kind.SIZE, of.size),
        )

    def __str__(self) -> str:
        return str(self.of)


@dataclass(frozen=True, slots=True)
class Concat:
    """Several values one after the other, as keys and values of maps are."""

    fields: tuple[Value, ...]

    @property
    def types(self) -> tuple[Type, ...]:
        return tuple(one for each in self.fields for one in each.types)

    def load(self, word: int) -> bytes:
        found = b""
        for each in self.fields:
            found += each.load(word)
            word += words(each)
        return found

    def __str__(self) -> str:
        return " . ".join(map(str, self.fields))


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a map has for a key. The rule ends here for packets whose key it has not."""

    key: Value
    map: str
    types: tuple[Type, ...]
    """Of what it has."""

    def load(self, word: int) -> bytes:
        return self.key.load(word) + lookup(self.map, word, into=register(word))

    def __str__(self) -> str:
        return f"{self.key} map @{self.map}"


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: int
    type: Type

    @property
    def types(self) -> tuple[Type, ...]:
        return (self.type,)

    def load(self, word: int) -> bytes:
        kind = nfta.Immediate
        return expression(
            "immediate",
            u32(kind.DESTINATION, register(word)),
            constant(kind.DATA, self.type.pack(self.value)),
        )

    def __str__(self) -> str:
        return self.type.write(self.type.pack(self.value))


def concat(*fields: Value) -> Concat:
    return Concat(fields)


def bitwise(word: int, mask: bytes, xor: bytes) -> bytes:
    """`value & mask ^ xor`, in place."""
    kind = nfta.Bitwise
    return expression(
        "bitwise",
        u32(kind.SOURCE, register(word)),
        u32(kind.DESTINATION, register(word)),
        u32(kind.LENGTH, len(mask)),
        u32(kind.OPERATION, _MASK_AND_XOR),
        constant(kind.MASK, mask),
        constant(kind.XOR, xor),
    )


def lookup(name: str, word: int, into: int | None = None, *, absent: bool = False) -> bytes:
    """Look the key at `word` up; in a map with `into` the register where its value goes.

    The rule ends here for packets whose key is not found (or, with `absent`, is).
    """
    kind = nfta.Lookup
    destination = b"" if into is None else u32(kind.DESTINATION, into)
    return expression(
        "lookup",
        text(kind.SET, name),
        u32(kind.SOURCE, register(word)),
        destination,
        u32(kind.FLAGS, int(absent)),
    )
