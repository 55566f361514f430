"""Compile the view of one Service port into chains of its own and entries in the shared chains.

The shape is kube-proxy's: KUBE-SERVICES and KUBE-NODEPORTS lead to KUBE-SVC-… (Cluster view), KUBE-SVL-…
(Local view), KUBE-EXT-… (traffic from outside) or KUBE-FW-… (source ranges before that), these to one
KUBE-SEP-… per endpoint. What is not forwarded finds no entry in the nat table and its verdict in filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from wellhead.ip import IPNetwork
from wellhead.proxy.backends.iptables import names, rules
from wellhead.proxy.backends.iptables.rules import comment, rule
from wellhead.proxy.marks import Marks
from wellhead.services.endpointslice import EndpointAddress
from wellhead.services.names import Frontend, FrontendKind
from wellhead.services.node import Detector
from wellhead.services.view import Action, Handling, PortView, Scope

Rules = tuple[str, ...]


class Chain(NamedTuple):
    """A chain in a table."""

    table: str
    name: str


NAT_SERVICES = Chain("nat", names.SERVICES)
NAT_NODEPORTS = Chain("nat", names.NODEPORTS)
FILTER_SERVICES = Chain("filter", names.SERVICES)
FILTER_EXTERNAL_SERVICES = Chain("filter", names.EXTERNAL_SERVICES)
FILTER_NODEPORTS = Chain("filter", names.NODEPORTS)
FILTER_FIREWALL = Chain("filter", names.PROXY_FIREWALL)

_KIND = {
    FrontendKind.CLUSTER_IP: "cluster IP",
    FrontendKind.EXTERNAL_IP: "external IP",
    FrontendKind.LOAD_BALANCER_IP: "loadbalancer IP",
}
_WHY = {Action.REJECT: "has no endpoints", Action.DROP: "has no local endpoints"}


@dataclass(frozen=True, slots=True)
class PortRules:
    """What one Service port puts into the tables."""

    chains: Mapping[Chain, Rules] = field(default_factory=dict)
    """Its own chains, complete."""
    entries: Mapping[Chain, Rules] = field(default_factory=dict)
    """Its part of the shared chains."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules of every port depend on besides its view."""

    detector: Detector | None
    node_port_networks: tuple[IPNetwork, ...]
    """The node's addresses in these networks answer node ports."""
    affinity: bool = True
    """Whether the kernel can remember clients (xt_recent)."""
    marks: Marks = field(default_factory=Marks)


def compile_port(view: PortView, surroundings: Surroundings) -> PortRules:
    """The rules for one Service port."""
    compiler = _Compiler(view, surroundings)
    compiler.entries_of_frontends()
    compiler.external_chain()
    compiler.firewall_chain()
    for scope in Scope:
        compiler.policy_chain(scope)
    for endpoint in sorted({*view.cluster, *view.local}):
        compiler.endpoint_chain(endpoint)
    return PortRules(
        {chain: tuple(found) for chain, found in compiler.chains.items()},
        {chain: tuple(found) for chain, found in compiler.entries.items()},
    )


class _Compiler:
    def __init__(self, view: PortView, surroundings: Surroundings) -> None:
        self.view = view
        self.surroundings = surroundings
        self.name = str(view.key)
        self.affinity_seconds = view.affinity_seconds if surroundings.affinity else None
        self.chains: dict[Chain, list[str]] = {}
        self.entries: dict[Chain, list[str]] = {}
        self.returning = frozenset(view.preserved.returning if view.preserved else ())
        kinds = {each.kind for each in view.frontends}
        self.forwards_outside = bool(kinds - {FrontendKind.CLUSTER_IP}) and any(
            each.action is Action.FORWARD for each in view.external
        )
        self.has_firewall = any(view.guards(each) for each in kinds)
        key, protocol = view.key, view.protocol
        self.external = names.external_chain(key, protocol)
        self.firewall = names.firewall_chain(key, protocol)
        self.policy = {
            Scope.CLUSTER: names.cluster_policy_chain(key, protocol),
            Scope.LOCAL: names.local_policy_chain(key, protocol),
        }

    # ---- entries in the shared chains

    def entries_of_frontends(self) -> None:
        for kind, frontend in self.view.frontends:
            if kind is FrontendKind.CLUSTER_IP:
                self._cluster_ip(frontend)
            elif kind is FrontendKind.NODE_PORT:
                self._node_port(frontend)
            else:
                self._external_address(kind, frontend)

    def _cluster_ip(self, frontend: Frontend) -> None:
        # Who the client is makes a difference to masquerading alone: see policy_chain.
        handling = self.view.internal.others
        if handling.action is Action.FORWARD:
            self._entry(NAT_SERVICES, frontend, _KIND[FrontendKind.CLUSTER_IP], self.policy[handling.scope])
        else:
            self._refusal(FILTER_SERVICES, frontend, handling)

    def _external_address(self, kind: FrontendKind, frontend: Frontend) -> None:
        if self.forwards_outside:
            guarded = self.has_firewall and kind is FrontendKind.LOAD_BALANCER_IP
            self._entry(NAT_SERVICES, frontend, _KIND[kind], self.firewall if guarded else self.external)
            if guarded:
                why = f"traffic not accepted by {self.firewall}"
                self._entry(FILTER_FIREWALL, frontend, why, "DROP")
        if self.view.external.others.action is not Action.FORWARD:
            self._refusal(FILTER_EXTERNAL_SERVICES, frontend, self.view.external.others)

    def _node_port(self, frontend: Frontend) -> None:
        if self.forwards_outside:
            self._entry(NAT_NODEPORTS, frontend, "", self.external)
        if self.view.external.others.action is not Action.FORWARD:
            self._refusal(FILTER_EXTERNAL_SERVICES, frontend, self.view.external.others)

    def _refusal(self, chain: Chain, frontend: Frontend, handling: Handling) -> None:
        target = rules.reject(self.view.key.family) if handling.action is Action.REJECT else "DROP"
        self._entry(chain, frontend, _WHY[handling.action], target)

    def _entry(self, chain: Chain, frontend: Frontend, what: str, jump: str) -> None:
        protocol = frontend.protocol
        about = comment(f"{self.name} {what}" if what else self.name)
        destinations = [""]
        local: tuple[str, ...] = ()
        if frontend.address is not None:
            destinations = [rules.to(frontend.address)]
        elif chain.table == "filter":  # in nat, KUBE-SERVICES looks at the address before KUBE-NODEPORTS
            local = ("-m addrtype --dst-type LOCAL",)
            networks = self.surroundings.node_port_networks
            destinations = [rules.to(each) for each in networks]
        self.entries.setdefault(chain, []).extend(
            rule(
                chain.name,
                about,
                *local,
                rules.port_match(protocol, frontend.port),
                destination=destination,
                protocol=rules.transport(protocol),
                jump=jump,
            )
            for destination in destinations
        )

    # ---- the port's own chains

    def _chain(self, name: str) -> list[str]:
        return self.chains.setdefault(Chain("nat", name), [])

    def external_chain(self) -> None:
        if not self.forwards_outside:
            return
        chain, routing = self._chain(self.external), self.view.external
        where = f"for {self.name} external destinations"
        detector = self.surroundings.detector
        if detector is not None and routing.pods != routing.others:
            source, interface = rules.from_local_pods(detector)
            about = comment(f"pod traffic {where}")
            if routing.pods.masquerade:
                chain.append(
                    rule(self.external, about, source=source, interface=interface, jump=names.MARK_MASQ)
                )
            chain.append(
                rule(
                    self.external,
                    about,
                    source=source,
                    interface=interface,
                    jump=self.policy[routing.pods.scope],
                )
            )
        if routing.node != routing.others:
            local = "-m addrtype --src-type LOCAL"
            if routing.node.masquerade:
                about = comment(f"masquerade LOCAL traffic {where}")
                chain.append(rule(self.external, about, local, jump=names.MARK_MASQ))
            about = comment(f"route LOCAL traffic {where}")
            chain.append(rule(self.external, about, local, jump=self.policy[routing.node.scope]))
        if routing.others.action is Action.FORWARD:
            if routing.others.preserve:
                about = comment(f"keep the source of clients outside {where}")
                chain.append(rule(self.external, about, jump=names.MARK_PRESERVE))
            elif routing.others.masquerade:
                about = comment(f"masquerade traffic {where}")
                chain.append(rule(self.external, about, jump=names.MARK_MASQ))
            chain.append(rule(self.external, jump=self.policy[routing.others.scope]))

    def firewall_chain(self) -> None:
        if not self.has_firewall:
            return
        chain = self._chain(self.firewall)
        about = comment(f"{self.name} loadbalancer IP")
        for network in self.view.allowed_sources:
            chain.append(rule(self.firewall, about, source=rules.coming_from(network), jump=self.external))
        # A rule without a target: what ends here was not translated, and so meets its drop in filter.
        about = comment(f"other traffic to {self.name} will be dropped by {names.PROXY_FIREWALL}")
        chain.append(rule(self.firewall, about))

    def policy_chain(self, scope: Scope) -> None:
        endpoints = self.view.endpoints(scope)
        if not endpoints:
            return
        name = self.policy[scope]
        chain = self._chain(name)
        self._masquerade_cluster_ip(scope, chain)
        targets = [
            (f"{self.name} -> {each!s}", names.endpoint_chain(self.view.key, self.view.protocol, each))
            for each in endpoints
        ]
        if self.affinity_seconds is not None:
            check = f"--rcheck --seconds {self.affinity_seconds} --reap"
            for about, target in targets:
                known = rules.recent(self.view.key.family, target, check)
                chain.append(rule(name, comment(about), known, jump=target))
        for index, (about, target) in enumerate(targets):
            remaining = len(targets) - index
            chance = rules.one_in(remaining) if remaining > 1 else ""
            chain.append(rule(name, comment(about), chance, jump=target))

    def _masquerade_cluster_ip(self, scope: Scope, chain: list[str]) -> None:
        routing = self.view.internal
        detector = self.surroundings.detector
        if routing.others.action is not Action.FORWARD or routing.others.scope is not scope:
            return
        if not routing.others.masquerade:
            return
        source = interface = ""
        if not routing.pods.masquerade and detector is not None:
            source, interface = rules.from_local_pods(detector, negated=True)
        for kind, frontend in self.view.frontends:
            if kind is FrontendKind.CLUSTER_IP and frontend.address is not None:
                chain.append(
                    rule(
                        self.policy[scope],
                        comment(f"{self.name} cluster IP"),
                        rules.port_match(frontend.protocol, frontend.port),
                        source=source,
                        destination=rules.to(frontend.address),
                        interface=interface,
                        protocol=rules.transport(frontend.protocol),
                        jump=names.MARK_MASQ,
                    )
                )

    def endpoint_chain(self, endpoint: EndpointAddress) -> None:
        protocol = self.view.protocol
        name = names.endpoint_chain(self.view.key, protocol, endpoint)
        about = comment(self.name)
        remember = ""
        if self.affinity_seconds is not None:
            remember = rules.recent(self.view.key.family, name, "--set")
        chain = self._chain(name)
        # Hairpin: an endpoint that reaches itself must see another source than its own.
        chain.append(rule(name, about, source=rules.coming_from(endpoint.ip), jump=names.MARK_MASQ))
        if self.view.external.others.preserve and endpoint.ip not in self.returning:
            mark = f"{self.surroundings.marks.preserve:#x}"
            why = comment(f"{self.name}: replies would not come back")
            chain.append(rule(name, why, f"-m mark --mark {mark}/{mark}", jump=names.MARK_MASQ))
        chain.append(
            rule(
                name,
                about,
                remember,
                f"-m {protocol.lower()}",
                protocol=rules.transport(protocol),
                jump=f"DNAT --to-destination {endpoint!s}",
            )
        )
