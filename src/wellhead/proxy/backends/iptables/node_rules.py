"""The chains that every node has whatever its Services, and the built-in chains' rules that lead there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wellhead.ip import Family, IPNetwork
from wellhead.linux.numbers import FORWARDER_MARK_MASK, FORWARDER_MARKS
from wellhead.proxy.backends.iptables import names, rules
from wellhead.proxy.backends.iptables.port_rules import (
    FILTER_EXTERNAL_SERVICES,
    FILTER_FIREWALL,
    FILTER_NODEPORTS,
    FILTER_SERVICES,
    NAT_NODEPORTS,
    NAT_SERVICES,
    Chain,
    Rules,
)
from wellhead.proxy.backends.iptables.rules import comment, rule
from wellhead.proxy.marks import Marks
from wellhead.services.names import ServiceKey
from wellhead.services.node_view import HealthCheck

MARK_PRESERVE = Chain("nat", names.MARK_PRESERVE)
"""There only while a Service keeps the address of clients outside."""

SHARED = (
    NAT_SERVICES,
    NAT_NODEPORTS,
    FILTER_SERVICES,
    FILTER_EXTERNAL_SERVICES,
    FILTER_NODEPORTS,
    FILTER_FIREWALL,
)
"""The chains that hold an entry or more of every Service port. They exist also when empty."""


@dataclass(frozen=True, slots=True)
class NodeRulesConfig:
    """What the node's own rules depend on."""

    marks: Marks = field(default_factory=Marks)
    """KUBE-MARK-MASQ tells KUBE-POSTROUTING by them, KUBE-MARK-PRESERVE the chains of endpoints."""
    localhost_node_ports: bool = True
    """Whether IPv4 node ports answer on loopback addresses. The kernel can't do it in IPv6."""
    drop_invalid: bool = True
    """Whether packets that conntrack calls INVALID are dropped."""


def _jump(chain: str, why: str, target: str, *, new: bool = True) -> str:
    state = "-m conntrack --ctstate NEW" if new else ""
    return rule(chain, state, comment(why), jump=target)


_PORTALS = "kubernetes service portals"
_EXTERNAL = "kubernetes externally-visible service portals"
_FIREWALL = "kubernetes load balancer firewall"

JUMPS: Mapping[Chain, Rules] = {
    Chain("nat", "PREROUTING"): (_jump("PREROUTING", _PORTALS, names.SERVICES, new=False),),
    Chain("nat", "OUTPUT"): (_jump("OUTPUT", _PORTALS, names.SERVICES, new=False),),
    Chain("nat", "POSTROUTING"): (
        _jump("POSTROUTING", "kubernetes postrouting rules", names.POSTROUTING, new=False),
    ),
    Chain("filter", "INPUT"): (
        _jump("INPUT", _FIREWALL, names.PROXY_FIREWALL),
        _jump("INPUT", "kubernetes health check service ports", names.NODEPORTS, new=False),
        _jump("INPUT", _EXTERNAL, names.EXTERNAL_SERVICES),
    ),
    Chain("filter", "FORWARD"): (
        _jump("FORWARD", _FIREWALL, names.PROXY_FIREWALL),
        _jump("FORWARD", "kubernetes forwarding rules", names.FORWARD, new=False),
        _jump("FORWARD", _PORTALS, names.SERVICES),
        _jump("FORWARD", _EXTERNAL, names.EXTERNAL_SERVICES),
    ),
    # kube-proxy leaves EXTERNAL-SERVICES out of OUTPUT, and a node that dials an external address without
    # endpoints sends the packet into the world. It is refused like everyone's.
    Chain("filter", "OUTPUT"): (
        _jump("OUTPUT", _FIREWALL, names.PROXY_FIREWALL),
        _jump("OUTPUT", _PORTALS, names.SERVICES),
        _jump("OUTPUT", _EXTERNAL, names.EXTERNAL_SERVICES),
    ),
}
"""The rules of built-in chains that lead to ours, in their order."""


def own_chains(config: NodeRulesConfig) -> dict[Chain, Rules]:
    """The chains that no Service has a part in."""
    mark = f"{config.marks.masquerade:#x}"
    # Conntrack does not translate what it calls INVALID: the peer would see an address that it never spoke
    # to, and reset the connection (kubernetes/kubernetes#74839).
    drop_invalid = rule(names.FORWARD, "-m conntrack --ctstate INVALID", jump="DROP")
    return {
        Chain("nat", names.MARK_MASQ): (rule(names.MARK_MASQ, jump=f"MARK --set-xmark {mark}/{mark}"),),
        Chain("nat", names.POSTROUTING): (
            rule(names.POSTROUTING, f"-m mark ! --mark {mark}/{mark}", jump="RETURN"),
            # The mark has done its work; a packet that is encapsulated and comes by again must not carry it.
            rule(names.POSTROUTING, jump=f"MARK --set-xmark {mark}/0x0"),
            rule(
                names.POSTROUTING,
                comment("kubernetes service traffic requiring SNAT"),
                jump="MASQUERADE --random-fully",
            ),
        ),
        Chain("filter", names.FORWARD): (
            *((drop_invalid,) if config.drop_invalid else ()),
            rule(
                names.FORWARD,
                comment("kubernetes forwarding rules"),
                f"-m mark --mark {mark}/{mark}",
                jump="ACCEPT",
            ),
            rule(
                names.FORWARD,
                comment("kubernetes forwarding conntrack rule"),
                "-m conntrack --ctstate RELATED,ESTABLISHED",
                jump="ACCEPT",
            ),
        ),
    }


def with_preserving(
    chains: Mapping[Chain, Rules], inside: Iterable[IPNetwork], config: NodeRulesConfig
) -> dict[Chain, Rules]:
    """`chains` with what it takes that clients outside keep their address; `inside` is the cluster."""
    mark = f"{config.marks.preserve:#x}"
    clear = rule(names.POSTROUTING, jump=f"MARK --set-xmark 0x0/{mark}")
    accept = rule(
        names.FORWARD,
        comment("traffic that keeps its source"),
        f"-m mark --mark {mark}/{mark}",
        jump="ACCEPT",
    )
    about = comment("inside the cluster")
    masquerade = (
        rule(names.MARK_PRESERVE, about, source=rules.coming_from(each), goto=names.MARK_MASQ)
        for each in inside
    )
    postrouting, forward = Chain("nat", names.POSTROUTING), Chain("filter", names.FORWARD)
    return {
        **chains,
        MARK_PRESERVE: (
            *masquerade,
            rule(names.MARK_PRESERVE, jump=f"MARK --set-xmark {mark}/{mark}"),
        ),
        postrouting: (clear, *chains[postrouting]),
        forward: (*chains[forward], accept),
    }


def first_rules(family: Family, chain: Chain, config: NodeRulesConfig) -> Rules:
    """What a shared chain holds before the Services' entries."""
    found = []
    if chain in (FILTER_EXTERNAL_SERVICES, FILTER_FIREWALL):
        # A speaker on this node leads a VIP's packets to another one, which may have endpoints where this one
        # has none, and knows whom it lets in. Conntrack calls the second packet of a connection NEW there.
        found.append(
            rule(
                chain.name,
                comment("led to another node by the speaker on this one"),
                f"-m mark --mark {FORWARDER_MARKS.start:#x}/{FORWARDER_MARK_MASK:#x}",
                jump="RETURN",
            )
        )
    if chain == FILTER_FIREWALL and family is Family.IPV4 and config.localhost_node_ports:
        # route_localnet, which node ports on loopback need, would let neighbours reach services that listen
        # on 127.0.0.1 only (CVE-2020-8558).
        loopback = family.loopback
        found.append(
            rule(
                chain.name,
                comment("block incoming localnet connections"),
                "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT",
                source=f"! {rules.coming_from(loopback)}",
                destination=rules.to(loopback),
                jump="DROP",
            )
        )
    return tuple(found)


def last_rules(
    family: Family, chain: Chain, config: NodeRulesConfig, node_port_networks: tuple[IPNetwork, ...]
) -> Rules:
    """What a shared chain holds after the Services' entries: the way to the node ports."""
    if chain != NAT_SERVICES:
        return ()
    about = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
    destinations = [rules.to(each) for each in node_port_networks]
    if node_port_networks == (family.everywhere,) and not (
        family is Family.IPV4 and config.localhost_node_ports
    ):
        destinations = [f"! {rules.to(family.loopback)}"]
    return tuple(
        rule(chain.name, about, "-m addrtype --dst-type LOCAL", destination=each, jump=names.NODEPORTS)
        for each in destinations
    )


def health_check_entry(key: ServiceKey, check: HealthCheck) -> Rules:
    """Let health checks in where the node's policy is to drop what nobody accepts."""
    return (
        rule(
            names.NODEPORTS,
            comment(f"{key} health check node port"),
            f"-m tcp --dport {check.node_port}",
            protocol="-p tcp",
            jump="ACCEPT",
        ),
    )
