"""What rules are made of: conditions that let a packet go on, and what is done with it then.

Each writes itself in nft's words, and compiles to the kernel's expressions. Registers are a statement's own:
none expects anything of the one before.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from wellhead.ip import Family, IPNetwork
from wellhead.linux.netlink import attribute, text, u32, u64
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.expressions import (
    Bits,
    Ct,
    Fib,
    Field,
    Lookup,
    Meta,
    Value,
    bitwise,
    constant,
    expression,
    lookup,
    nested,
    register,
    words,
)

_EQUAL, _NOT_EQUAL = 0, 1
_MAP_ADDRESS, _MAP_ADDRESS_AND_PORT = 1, 3
_SOURCE, _DESTINATION = 0, 1
_FULLY_RANDOM = 0x10
_ICMP_UNREACHABLE = 0
_PORT_UNREACHABLE = {Family.IPV4: 3, Family.IPV6: 4}
_VERDICT_REGISTER = 0
_JUMP, _GOTO = -3, -4


class Statement(Protocol):
    """A part of a rule."""

    @property
    def encoded(self) -> bytes:
        """The kernel's expressions."""


@dataclass(frozen=True, slots=True)
class Is:
    """Whether a value is (or, `differs`, is not) one of its type's."""

    value: Meta | Fib | Ct | Bits
    what: bytes
    differs: bool = False

    @property
    def encoded(self) -> bytes:
        return self.value.load(0) + compare(self.what, differs=self.differs)

    def __str__(self) -> str:
        [kind] = self.value.types
        return f"{self.value} {'!= ' if self.differs else ''}{kind.write(self.what)}"


@dataclass(frozen=True, slots=True)
class Has:
    """Whether a value of one word has any of some bits."""

    value: Meta | Ct
    bits: int

    @property
    def encoded(self) -> bytes:
        [kind] = self.value.types
        return Bits(self.value, self.bits).load(0) + compare(kind.pack(0), differs=True)

    def __str__(self) -> str:
        [kind] = self.value.types
        if kind.bits:
            return f"{self.value} {kind.write(kind.pack(self.bits))}"
        none = kind.write(kind.pack(0))
        return f"{self.value} & {kind.write(kind.pack(self.bits))} != {none}"


@dataclass(frozen=True, slots=True)
class InNetwork:
    """Whether an address is of a network."""

    address: Field
    network: IPNetwork

    @property
    def encoded(self) -> bytes:
        network, size = self.network, self.address.type.size
        masked = b""
        if network.prefixlen < network.max_prefixlen:
            masked = bitwise(0, network.netmask.packed, bytes(size))
        return self.address.load(0) + masked + compare(network.network_address.packed)

    def __str__(self) -> str:
        network = self.network
        single = network.prefixlen == network.max_prefixlen
        return f"{self.address} {network.network_address if single else network}"


@dataclass(frozen=True, slots=True)
class InSet:
    """Whether a key is (or, `absent`, is not) in a set."""

    key: Value
    set: str
    absent: bool = False

    @property
    def encoded(self) -> bytes:
        return self.key.load(0) + lookup(self.set, 0, absent=self.absent)

    def __str__(self) -> str:
        return f"{self.key} {'!= ' if self.absent else ''}@{self.set}"


@dataclass(frozen=True, slots=True)
class Assign:
    """Set something of a packet to a value."""

    what: Meta
    value: Value

    @property
    def encoded(self) -> bytes:
        return self.value.load(0) + self.what.store(0)

    def __str__(self) -> str:
        return f"{self.what} set {self.value}"


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """Do what a map has for a key, if anything."""

    key: Value
    map: str

    @property
    def encoded(self) -> bytes:
        return self.key.load(0) + lookup(self.map, 0, into=_VERDICT_REGISTER)

    def __str__(self) -> str:
        return f"{self.key} vmap @{self.map}"


class Final(enum.Enum):
    """A packet's end in this hook, or in this chain."""

    DROP = 0
    ACCEPT = 1
    RETURN = -5

    @property
    def encoded(self) -> bytes:
        return _immediate(_verdict(self.value))

    def __str__(self) -> str:
        return self.name.lower()


DROP, ACCEPT, RETURN = Final


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a packet goes: on to another chain, for good or until that returns. Also a map's value."""

    chain: str
    returns: bool = False

    @property
    def encoded(self) -> bytes:
        return _immediate(_verdict(_JUMP if self.returns else _GOTO, self.chain))

    def __str__(self) -> str:
        return f"{'jump' if self.returns else 'goto'} {self.chain}"


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer with ICMP or ICMPv6 port unreachable."""

    family: Family

    @property
    def encoded(self) -> bytes:
        return expression(
            "reject",
            u32(nfta.Reject.TYPE, _ICMP_UNREACHABLE),
            attribute(nfta.Reject.ICMP_CODE, bytes([_PORT_UNREACHABLE[self.family]])),
        )

    def __str__(self) -> str:
        return "reject"


class Masquerade(enum.Enum):
    """Give a packet this machine's address, with a fully random port.

    Without, many clients of one endpoint race for the same port.
    """

    FULLY_RANDOM = enum.auto()

    @property
    def encoded(self) -> bytes:
        return expression("masq", u32(nfta.Masquerade.FLAGS, _FULLY_RANDOM))

    def __str__(self) -> str:
        return "masquerade fully-random"


MASQUERADE_FULLY_RANDOM = Masquerade.FULLY_RANDOM


@dataclass(frozen=True, slots=True)
class Dnat:
    """Send a packet to the address and port that a map has for it."""

    family: Family
    to: Lookup

    @property
    def encoded(self) -> bytes:
        port = register(self.to.types[0].words)
        return self.to.load(0) + _nat(_DESTINATION, self.family, _MAP_ADDRESS_AND_PORT, port)

    def __str__(self) -> str:
        return f"dnat {self.family.nft} to {self.to}"


@dataclass(frozen=True, slots=True)
class Snat:
    """Give a packet an address as its source; its port stays, unless it is taken."""

    family: Family
    to: Field

    @property
    def encoded(self) -> bytes:
        return self.to.load(0) + _nat(_SOURCE, self.family, _MAP_ADDRESS)

    def __str__(self) -> str:
        return f"snat to {self.to}"


class DynamicOperation(enum.IntEnum):
    """What a packet does to a dynamic set or map (NFT_DYNSET_OP_…)."""

    UPDATE = 1
    DELETE = 2


@dataclass(frozen=True, slots=True)
class Remember:
    """Change a dynamic map, from the packet path."""

    operation: DynamicOperation
    map: str
    key: Value
    data: Value
    timeout: int = 0
    """In seconds; 0: none."""

    @property
    def encoded(self) -> bytes:
        kind, after = nfta.DynamicSet, words(self.key)
        return (
            self.key.load(0)
            + self.data.load(after)
            + expression(
                "dynset",
                u32(kind.KEY, register(0)),
                u32(kind.DATA, register(after)),
                u32(kind.OPERATION, self.operation),
                text(kind.NAME, self.map),
                u64(kind.TIMEOUT, self.timeout * 1000),
                u32(kind.FLAGS, 0),
            )
        )

    def __str__(self) -> str:
        timeout = f" timeout {_time(self.timeout)}" if self.timeout else ""
        return f"{self.operation.name.lower()} @{self.map} {{ {self.key}{timeout} : {self.data} }}"


def _verdict(code: int, chain: str = "") -> bytes:
    """As data of an expression or an element."""
    named = text(nfta.Verdict.CHAIN, chain) if chain else b""
    return nested(nfta.Data.VERDICT, u32(nfta.Verdict.CODE, code), named)


@lru_cache(maxsize=4096)
def verdict_data(found: Verdict) -> bytes:
    """The value of a verdict map's element (NFTA_SET_ELEM_DATA)."""
    return nested(nfta.Element.DATA, _verdict(_JUMP if found.returns else _GOTO, found.chain))


@lru_cache(maxsize=4096)
def read_verdict(code: int, chain: str) -> Verdict:
    """A verdict as the kernel dumps it."""
    return Verdict(chain, code == _JUMP)


def _immediate(data: bytes) -> bytes:
    kind = nfta.Immediate
    return expression("immediate", u32(kind.DESTINATION, _VERDICT_REGISTER), nested(kind.DATA, data))


def _nat(what: int, family: Family, flags: int, port: int | None = None) -> bytes:
    """Translate to the address in the first register, and to the port in that one."""
    kind = nfta.Nat
    return expression(
        "nat",
        u32(kind.TYPE, what),
        u32(kind.FAMILY, family.number),
        u32(kind.ADDRESS_MIN, register(0)),
        u32(kind.ADDRESS_MAX, register(0)),
        b"" if port is None else u32(kind.PORT_MIN, port) + u32(kind.PORT_MAX, port),
        u32(kind.FLAGS, flags),
    )


def compare(value: bytes, *, differs: bool = False) -> bytes:
    """Whether the first register's value is (or, `differs`, is not) this."""
    kind = nfta.Compare
    return expression(
        "cmp",
        u32(kind.SOURCE, register(0)),
        u32(kind.OPERATION, _NOT_EQUAL if differs else _EQUAL),
        constant(kind.DATA, value),
    )


def _time(seconds: int) -> str:
    """As nft writes a time: `1d2h3m4s`."""
    found = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size:
            found += f"{seconds // size}{unit}"
            seconds %= size
    return found
