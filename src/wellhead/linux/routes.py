"""Interfaces, routing rules and routes as values; `wellhead.linux.routing` has the kernel hold them."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, IPNetwork

MAIN_TABLE, LOCAL_TABLE = 254, 255


class Action(enum.IntEnum):
    """What a rule does with packets (FR_ACT_…)."""

    TO_TABLE = 1
    GOTO = 2
    NOP = 3
    BLACKHOLE = 6
    """They vanish, and nobody is told."""


class Kind(enum.IntEnum):
    """What a route does with packets (RTN_…)."""

    UNICAST = 1
    LOCAL = 2
    """They are for this machine."""
    UNREACHABLE = 7
    THROW = 9
    """The next rules decide."""


class Interface(NamedTuple):
    """A network interface."""

    name: str
    hardware_address: str
    """Empty on one that isn't Ethernet."""
    mtu: int


class Rule(NamedTuple):
    """A routing rule. What is empty matches everything."""

    family: Family
    priority: int
    action: Action = Action.TO_TABLE
    mark: int = 0
    mask: int = 0
    device: str = ""
    """The incoming interface; `lo`: what the machine itself sends."""
    to: IPNetwork | None = None
    table: int = 0
    goto: int = 0


class Route(NamedTuple):
    """A route."""

    family: Family
    table: int
    to: IPNetwork
    gateway: IPAddress | None = None
    devices: tuple[str, ...] = ()
    """Several: by any of them. None, with a gateway: by whichever leads there."""
    kind: Kind = Kind.UNICAST


def has_ipv6() -> bool:
    """Whether this kernel speaks IPv6."""
    return Path("/proc/sys/net/ipv6").exists()


def families() -> tuple[Family, ...]:
    """Those that this kernel speaks."""
    return tuple(Family) if has_ipv6() else (Family.IPV4,)
