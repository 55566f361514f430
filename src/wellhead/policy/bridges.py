"""Whether packets between a node's pods are routed at all: only then can a policy stop them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from wellhead.component import Refusal
from wellhead.ip import IPAddress, IPNetwork, parse_address

_CALLS = {4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables"}
_OWN_CALLS = {4: "IFLA_BR_NF_CALL_IPTABLES", 6: "IFLA_BR_NF_CALL_IP6TABLES"}


class Unseen(Refusal):
    """Packets between pods of this node never meet a policy. The message says why, and what to do."""


@dataclass(frozen=True)
class Bridge:
    """One of the node's. `seen` are the versions of IP whose packets it shows to netfilter."""

    name: str
    addresses: tuple[IPAddress, ...]
    seen: frozenset[int] = frozenset()


async def check(networks: Iterable[IPNetwork]) -> None:
    """See whether pods are on a bridge that hides their packets from netfilter.

    Raises:
        Unseen: it is so.
    """
    found = unseen(networks, await asyncio.to_thread(read))
    if found is not None:
        raise Unseen(found)


def unseen(networks: Iterable[IPNetwork], bridges: Iterable[Bridge]) -> str | None:
    """What is wrong with that, if anything: a bridge has an address among the pods', and netfilter isn't
    shown what crosses it."""
    bridges = tuple(bridges)
    for network in networks:
        for bridge in bridges:
            if network.version in bridge.seen or not any(each in network for each in bridge.addresses):
                continue
            setting = f"net.bridge.{_CALLS[network.version]}"
            return (
                f"the pods of {network} are on bridge {bridge.name}, and {setting} isn't 1: what they send "
                f"each other never meets a policy. `modprobe br_netfilter && sysctl -w {setting}=1`, or use "
                "a pod network that routes"
            )
    return None


def read(proc: Path = Path("/proc")) -> tuple[Bridge, ...]:
    """The bridges of the network namespace that this thread is in. Not where an event loop runs: pyroute2 has
    one of its own."""
    everywhere = {version for version, name in _CALLS.items() if _is_on(proc / "sys/net/bridge" / name)}
    with IPRoute() as kernel:
        return tuple(
            Bridge(
                link.get_attr("IFLA_IFNAME"),
                tuple(_addresses(kernel, link["index"])),
                frozenset(everywhere | {v for v, name in _OWN_CALLS.items() if _own(link, name)}),
            )
            for link in kernel.get_links(kind="bridge")
        )


def _own(link: Any, setting: str) -> bool:
    """What is set for one bridge, beside what is for all."""
    return bool(link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", setting))


def _addresses(kernel: IPRoute, index: int) -> Iterator[IPAddress]:
    for each in kernel.get_addr(index=index):
        address = parse_address(each.get_attr("IFA_ADDRESS") or "")
        if address is not None:
            yield address


def _is_on(setting: Path) -> bool:
    try:
        return setting.read_text().strip() == "1"
    except OSError:  # without the module
        return False
