"""What the edge does with packets: 1:1 NAT of the nodes' ExternalIPs, and what it refuses to forward.

The edge is the cloud's router. On its outer side is the internet, where nobody may use or reach private
addresses; on its inner side are the nodes, from which no packet may go to a VIP or a Service's address:
a node that doesn't know one (yet, or any longer) sends such a packet on to its default gateway, and it would
go in circles. Where a VIP's packets go is the cloud's forwarder's business: there is no route to them here.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.ip import Family
from wellhead.lab.addresses import AddressPlan, IPAddress
from wellhead.lab.cluster import LabError
from wellhead.lab.topology import INTERNET, NODES
from wellhead.linux import nft
from wellhead.linux.numbers import Table

TABLE = Table.EDGE

_PRIVATE = {
    4: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
    6: ("fc00::/7",),  # RFC 4193
}


def ruleset(nodes: int, plans: Sequence[AddressPlan], control_planes: int = 1) -> str:
    """The edge's rules in nft's language, as one transaction that replaces what was there."""
    return "".join(_table(nodes, plan, control_planes) for plan in plans)


def apply(rules: str) -> int:
    """Give the rules to the kernel, in the network namespace of the caller; returns nft's process number.

    Raises:
        LabError: nft refuses them.
    """
    processes: list[int] = []
    try:
        nft.run(rules, started=processes.append)
    except nft.NftError as error:
        raise LabError(f"the edge's rules: {error}") from error
    return processes[0]


def _table(nodes: int, plan: AddressPlan, control_planes: int) -> str:
    version = plan.nodes.version
    family = Family(version).nft
    pairs: list[tuple[IPAddress, IPAddress]] = [
        (plan.control_plane_external_of(number), plan.control_plane_of(number))
        for number in range(1, control_planes + 1)
    ]
    pairs += [(plan.node_external(number), plan.node(number)) for number in range(1, nodes + 1)]
    inward = ", ".join(f"{external} : {internal}" for external, internal in pairs)
    outward = ", ".join(f"{internal} : {external}" for external, internal in pairs)
    internal = ", ".join(str(internal) for _, internal in pairs)
    private = ", ".join(_PRIVATE[version])
    content = f"""\
    map internal-ip {{
        type ipv{version}_addr : ipv{version}_addr
        elements = {{ {inward} }}
    }}
    map external-ip {{
        type ipv{version}_addr : ipv{version}_addr
        elements = {{ {outward} }}
    }}
    set private {{
        type ipv{version}_addr
        flags interval
        elements = {{ {private} }}
    }}
    set translated {{
        type ipv{version}_addr
        elements = {{ {internal} }}
    }}

    # Before any NAT: the addresses are those on the wire.
    chain from-outside {{
        type filter hook prerouting priority raw; policy accept;
        iifname != "{INTERNET}" accept
        {family} daddr @private counter drop comment "private addresses are not reachable from the internet"
        {family} saddr @private counter drop comment "spoofed: private"
        {family} saddr {{ {plan.external}, {plan.vips} }} counter drop comment "spoofed: ours"
    }}
    # VIPs that come from a node are the cloud's business: it knows those that it terminates itself.
    chain from-nodes {{
        type filter hook prerouting priority raw; policy accept;
        iifname != "{NODES}" accept
        {family} daddr {plan.services} counter drop comment "a node doesn't know this ClusterIP"
    }}
    # Before the source is translated.
    chain to-outside {{
        type filter hook forward priority filter; policy accept;
        oifname != "{INTERNET}" accept
        {family} saddr @private {family} saddr != @translated counter drop comment "has no ExternalIP"
    }}
    chain inward {{
        type nat hook prerouting priority dstnat; policy accept;
        dnat to {family} daddr map @internal-ip
    }}
    chain outward {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "{INTERNET}" snat to {family} saddr map @external-ip
        # From node to ExternalIP of a node: the answer has to come back this way.
        oifname "{NODES}" ct status dnat snat to {family} saddr map @external-ip
    }}
"""
    return nft.replacement(family, TABLE, content)
