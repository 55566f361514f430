"""The node's own nftables tables, as text for `nft -f`.

`ip` and `ip6`: which source addresses a pod may use, what pods send out of the cluster, and host ports.
`arp`: as whom a pod may speak there. The number of rules is constant; a pod is an element or two of a set.

Sources of pods: a pod's link is of the interface group POD_LINK_GROUP from the moment when it is made, and
what comes in by such a link has to have an address that is listed with it. So a pod of which nothing is known
yet can't send, nor one with a hostile idea of its address; a packet of anybody else costs two comparisons.
The chain comes before connection tracking: what is refused leaves no trace.

Ordering beside a service proxy's NAT: in the kernel, the first NAT rule that a new connection meets in a hook
decides. Our masquerading sees destinations as they are after destination NAT, and only takes what leaves the
cluster; what a proxy masquerades stays inside, and if both want to masquerade a connection it gets the same
address from either. So the order doesn't matter there. Host ports come after a proxy's own frontends: a
Service wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from wellhead.ip import Family, IPAddress, IPNetwork, family_of
from wellhead.linux.nft import replacement
from wellhead.linux.numbers import POD_LINK_GROUP, HookPriority, Table
from wellhead.node.network.host_ports import HostPort

_NFPROTO_ARP = 3
FAMILIES = (*(family.number for family in Family), _NFPROTO_ARP)
"""Those of our tables (NFPROTO_…)."""

_MULTICAST = {Family.IPV4: "224.0.0.0/4", Family.IPV6: "ff00::/8"}
_ND = "nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit"
_MLD = "mld-listener-report, mld-listener-done, mld2-listener-report"


@dataclass(frozen=True)
class PodEnd:
    """A pod as the rules know it: the node's end of its link, its addresses (link-local too), its ports."""

    link: str
    addresses: tuple[IPAddress, ...] = ()
    host_ports: frozenset[HostPort] = frozenset()


def whole(pod_cidrs: Iterable[IPNetwork], inside: Sequence[IPNetwork], pods: Collection[PodEnd] = ()) -> str:
    """What replaces our tables, in one transaction.

    `inside` are the networks that pods of `pod_cidrs` reach with their own addresses.
    """
    return _arp(pods) + "".join(_table(each, inside, pods) for each in pod_cidrs)


def changed(before: PodEnd | None, after: PodEnd | None) -> str:
    """What changes one pod's elements; empty if there is nothing to change."""
    old, new = _elements_of(before), _elements_of(after)
    removed = [f"delete element {where} {{ {key} }}\n" for where, key, _ in sorted(old - new)]
    added = [f"add element {where} {{ {key}{value} }}\n" for where, key, value in sorted(new - old)]
    return "".join(removed + added)


def _elements_of(pod: PodEnd | None) -> set[tuple[str, str, str]]:
    """Table and set or map, the key, and in a map a colon and the value."""
    if pod is None:
        return set()
    found = set()
    for address in pod.addresses:
        family = family_of(address).nft
        found.add((f"{family} {Table.NODE} pod-addresses", _source(pod.link, address), ""))
        if address.version == 4:
            found.add((f"arp {Table.NODE} pod-addresses", _source(pod.link, address), ""))
    for port in pod.host_ports:
        family = family_of(port.pod_ip).nft
        key, value = _port(port)
        where = "host-ports" if port.host_ip is None else "host-ip-ports"
        found.add((f"{family} {Table.NODE} {where}", key, f" : {value}"))
        found.add((f"{family} {Table.NODE} hairpins", f"{port.pod_ip} . {port.pod_ip}", ""))
    return found


def _source(link: str, address: IPAddress) -> str:
    return f'"{link}" . {address}'


def _port(port: HostPort) -> tuple[str, str]:
    numbered = f"{port.protocol} . {port.port}"
    key = numbered if port.host_ip is None else f"{port.host_ip} . {numbered}"
    return key, f"{port.pod_ip} . {port.pod_port}"


def _arp(pods: Iterable[PodEnd]) -> str:
    # 0.0.0.0 asks whether anybody has an address (RFC 5227), and nobody learns anything from it.
    content = f"""\
    set pod-addresses {{
        type ifname . ipv4_addr{_elements(_held("arp", "pod-addresses", pods))}
    }}
    chain from-pod {{
        arp saddr ip 0.0.0.0 return
        iifname . arp saddr ip @pod-addresses return
        counter drop comment "not an address of this pod"
    }}
    chain sources {{
        type filter hook input priority filter; policy accept;
        iifgroup {POD_LINK_GROUP} goto from-pod
    }}
"""
    return replacement("arp", Table.NODE, content)


def _sources(family: Family) -> str:
    """Two chains: what nearly every packet of a pod meets, and the rest."""
    own = f"iifname . {family.nft} saddr @pod-addresses"
    if family is Family.IPV4:
        quick = f"{own} ip daddr != {family.loopback} accept"
        rest = [f'ip daddr {family.loopback} counter drop comment "the node\'s own loopback"']
    else:
        # From its link-local address a pod only finds neighbours and groups, and from none at all it asks
        # whether it may have an address (RFC 4862) or joins a group before it has one (RFC 3590).
        quick = f"ip6 saddr != fe80::/10 {own} accept"
        rest = [
            f"{own} icmpv6 type {{ {_ND}, {_MLD} }} accept",
            f"ip6 saddr :: icmpv6 type {{ nd-neighbor-solicit, nd-router-solicit, {_MLD} }} accept",
        ]
    lines = "\n        ".join([*rest, 'counter drop comment "not the source of this pod"'])
    return f"""\
    chain from-pod {{
        {lines}
    }}
    chain sources {{
        type filter hook prerouting priority {HookPriority.NODE_SOURCES}; policy accept;
        iifgroup {POD_LINK_GROUP} {quick}
        iifgroup {POD_LINK_GROUP} goto from-pod
    }}
"""


def _table(pod_cidr: IPNetwork, inside: Iterable[IPNetwork], pods: Collection[PodEnd]) -> str:
    family = Family(pod_cidr.version)
    ip, address = family.nft, family.address_type
    networks = [str(network) for network in inside if network.version == family]

    def held(name: str) -> str:
        return _elements(_held(ip, name, pods))

    content = f"""\
    set pod-addresses {{
        type ifname . {address}{held("pod-addresses")}
    }}
    set inside {{
        type {address}
        flags interval
        auto-merge{_elements(networks)}
    }}
    map host-ports {{
        type inet_proto . inet_service : {address} . inet_service{held("host-ports")}
    }}
    map host-ip-ports {{
        type {address} . inet_proto . inet_service : {address} . inet_service{held("host-ip-ports")}
    }}
    set hairpins {{
        type {address} . {address}{held("hairpins")}
    }}
{_sources(family)}    chain to-host-port {{
        dnat {ip} to {ip} daddr . meta l4proto . th dport map @host-ip-ports
        dnat {ip} to meta l4proto . th dport map @host-ports
    }}
    chain prerouting {{
        type nat hook prerouting priority {HookPriority.NODE_DSTNAT}; policy accept;
        fib daddr type local goto to-host-port
    }}
    chain output {{
        type nat hook output priority {HookPriority.NODE_DSTNAT}; policy accept;
        fib daddr type local goto to-host-port
    }}
    chain postrouting {{
        type nat hook postrouting priority {HookPriority.NODE_SRCNAT}; policy accept;
        {ip} saddr {pod_cidr} {ip} daddr != @inside {ip} daddr != {_MULTICAST[family]} masquerade fully-random
        ct status dnat {ip} saddr . {ip} daddr @hairpins masquerade fully-random
        ct status dnat {ip} saddr {family.loopback} {ip} daddr {pod_cidr} masquerade fully-random
    }}
"""
    return replacement(ip, Table.NODE, content)


def _held(family: str, name: str, pods: Iterable[PodEnd]) -> list[str]:
    where = f"{family} {Table.NODE} {name}"
    found = {(key, value) for pod in pods for table, key, value in _elements_of(pod) if table == where}
    return [f"{key}{value}" for key, value in sorted(found)]


def _elements(items: list[str]) -> str:
    return f"\n        elements = {{ {', '.join(items)} }}" if items else ""
