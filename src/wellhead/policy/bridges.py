"""Whether packets between a node's pods are routed at all: only then can a policy stop them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyroute2 import IPRoute

from wellhead.ip import IPNetwork, parse_address

_CALLS = {4: "bridge-nf-call-iptables", 6: "bridge-nf-call-ip6tables"}


class Unseen(Exception):
    """Packets between pods of this node never meet a policy. The message says why, and what to do."""


def check(networks: Iterable[IPNetwork], proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
    """See whether pods are on a bridge that hides their packets from netfilter.

    Raises:
        Unseen: it is so.
    """
    bridges = {each.parent.name for each in sys.glob("class/net/*/bridge")}
    if not bridges:
        return
    with IPRoute() as kernel:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in kernel.get_links()}
        addresses = [
            (names.get(each["index"], ""), parse_address(each.get_attr("IFA_ADDRESS") or ""))
            for each in kernel.get_addr()
        ]
    for network in networks:
        setting = _CALLS[network.version]
        for name, address in addresses:
            if name not in bridges or address is None or address.version != network.version:
                continue
            if address in network and _value(proc / "sys/net/bridge" / setting) != "1":
                raise Unseen(
                    f"the pods of {network} are on bridge {name}, and net.bridge.{setting} isn't 1: what "
                    f"they send each other never meets a policy. `modprobe br_netfilter && sysctl -w "
                    f"net.bridge.{setting}=1`, or use a pod network that routes"
                )


def _value(setting: Path) -> str:
    try:
        return setting.read_text().strip()
    except OSError:
        return ""
