"""Whether packets between a node's pods are routed at all: only then can a policy stop them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wellhead.ip import Family, IPAddress, IPNetwork
from wellhead.linux import routing
from wellhead.linux.rtnetlink import Requests
from wellhead.refusal import Refusal

_CALLS = {4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables"}


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
    """The bridges of the network namespace that this thread is in."""
    everywhere = {version for version, name in _CALLS.items() if _is_on(proc / "sys/net/bridge" / name)}
    with Requests() as asker:
        bridges = routing.bridges(asker)
        if not bridges:
            return ()
        links = routing.links(asker)
        held = [each for family in Family for each in routing.addresses(asker, family)]
    return tuple(
        Bridge(
            links[index].name,
            tuple(address for address, where in held if where == index),
            frozenset(everywhere | set(own)),
        )
        for index, own in bridges.items()
        if index in links
    )


def _is_on(setting: Path) -> bool:
    try:
        return setting.read_text().strip() == "1"
    except OSError:  # without the module
        return False
