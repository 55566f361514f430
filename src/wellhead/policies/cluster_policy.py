"""ClusterNetworkPolicies as values.

Source: the policy.networking.k8s.io/v1alpha2 API text.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj
from wellhead.api.selectors import LabelSelector
from wellhead.ip import IPAddress, Protocol, parse_address
from wellhead.policies.pods import Labels, Pod, labels_of
from wellhead.policies.policy import (
    ANY_TRAFFIC,
    EVERYONE,
    Block,
    Direction,
    NamedPort,
    Peer,
    Port,
    PortRange,
    Selection,
)

NODES = "(nodes)"
"""Where nodes are, as if they were pods of one namespace: no Namespace has such a name."""


class Tier(enum.StrEnum):
    """Before NetworkPolicies, or behind them."""

    ADMIN = "Admin"
    BASELINE = "Baseline"


class Action(enum.StrEnum):
    """What a rule does with what it matches. Pass: on to the next tier."""

    ACCEPT = "Accept"
    DENY = "Deny"
    PASS = "Pass"  # noqa: S105


@dataclass(frozen=True, slots=True)
class ClusterRule:
    """What becomes of each of `ports` from (ingress) or to (egress) each of `peers`."""

    action: Action
    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]
    name: str = ""


@dataclass(frozen=True)
class ClusterPolicy:
    """A ClusterNetworkPolicy."""

    name: str
    tier: Tier
    priority: int
    pods: Selection
    """Whom it is about."""
    ingress: tuple[ClusterRule, ...] = ()
    egress: tuple[ClusterRule, ...] = ()

    def rules(self, direction: Direction) -> tuple[ClusterRule, ...]:
        return self.ingress if direction is Direction.INGRESS else self.egress

    @property
    def order(self) -> tuple[int, str]:
        """Lower is looked at first in its tier. Between equal priorities the API leaves it open; ours is by
        name, so that every node does the same."""
        return self.priority, self.name

    def __str__(self) -> str:
        return self.name


class _Unknown(Exception):
    """Something of a kind that is newer than this."""


def parse_cluster_policy(obj: Obj) -> ClusterPolicy:
    """A ClusterNetworkPolicy object as a value.

    What can't be understood fails closed: a rule with it that accepts matches nothing, another denies
    everything. A policy whose subject can't be read is about all pods, and accepts nothing.

    Raises:
        ValueError: the tier or the priority is none.
    """
    spec = obj.get("spec") or {}
    about = _pods(spec.get("subject") or {})
    ingress, egress = (
        tuple(_rule(each, peers) for each in spec.get(field) or ())
        for field, peers in (("ingress", "from"), ("egress", "to"))
    )
    if about is None:
        about = Selection(LabelSelector(), LabelSelector())
        ingress, egress = (
            tuple(each for each in rules if each.action is not Action.ACCEPT) for rules in (ingress, egress)
        )
    priority = int(spec.get("priority") or 0)
    return ClusterPolicy(
        obj["metadata"]["name"], Tier(spec.get("tier") or ""), priority, about, ingress, egress
    )


def unsupported(obj: Obj) -> list[str]:
    """The fields of a ClusterNetworkPolicy that can't be done here, and so fail closed."""
    return [
        f"spec.egress[{index}].to[{number}].domainNames"
        for index, rule in enumerate((obj.get("spec") or {}).get("egress") or ())
        for number, peer in enumerate(rule.get("to") or ())
        if "domainNames" in peer
    ]


def parse_cluster_node(obj: Obj) -> Pod | None:
    """A Node, as `nodes` peers see it: its labels and its addresses. None for one without any."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    texts = (each.get("address") or "" for each in status.get("addresses") or ())
    addresses = dict.fromkeys(found for text in texts if (found := parse_address(text)) is not None)
    if not addresses:
        return None
    return node_as_pod(metadata["name"], labels_of(obj), tuple(addresses))


def node_as_pod(name: str, labels: Labels, addresses: tuple[IPAddress, ...]) -> Pod:
    """A node as one of the namespace of nodes."""
    return Pod(NODES, name, "", "", "", labels, addresses)


def _rule(rule: Obj, field: str) -> ClusterRule:
    name = rule.get("name") or ""
    try:
        action = Action(rule.get("action") or "")
    except ValueError:
        return ClusterRule(Action.DENY, (EVERYONE,), (ANY_TRAFFIC,), name)
    try:
        given: list[Obj] = rule.get(field) or [{}]
        peers = tuple(peer for each in given for peer in _peers(each, field))
        ports = tuple(port for each in rule.get("protocols") or () for port in _ports(each))
    except _Unknown:
        if action is Action.ACCEPT:
            return ClusterRule(action, (), (), name)
        return ClusterRule(Action.DENY, (EVERYONE,), (ANY_TRAFFIC,), name)
    return ClusterRule(action, peers, ports or (ANY_TRAFFIC,), name)


def _peers(peer: Obj, field: str) -> Iterable[Peer]:
    egress = field == "to"
    networks, nodes = (peer.get("networks"), peer.get("nodes")) if egress else (None, None)
    try:
        if networks:
            return [Block(ip_network(each, strict=False)) for each in networks]
        if nodes is not None:
            return [Selection(NODES, LabelSelector.from_object(nodes))]
    except (BadRequest, TypeError, ValueError, AttributeError):
        raise _Unknown from None
    found = _pods(peer)
    if found is None:
        raise _Unknown
    return [found]


def _pods(peer: Obj) -> Selection | None:
    """Pods that a subject or a peer selects; None: it is of another kind."""
    namespaces, pods = peer.get("namespaces"), peer.get("pods")
    try:
        if namespaces is not None:
            return Selection(LabelSelector.from_object(namespaces), LabelSelector())
        if pods is not None:
            return Selection(
                LabelSelector.from_object(pods.get("namespaceSelector") or {}),
                LabelSelector.from_object(pods.get("podSelector") or {}),
            )
    except (BadRequest, TypeError, ValueError, AttributeError):
        pass
    return None


def _ports(protocol: Obj) -> Iterator[Port]:
    if name := protocol.get("destinationNamedPort"):
        yield from (NamedPort(each, name) for each in Protocol)
        return
    for each in Protocol:
        matched = protocol.get(each.value.lower())
        if matched is not None:
            yield _range(each, matched)
            return
    raise _Unknown


def _range(protocol: Protocol, matched: dict[str, Any]) -> PortRange:
    if not matched:
        return PortRange(protocol)
    port = matched.get("destinationPort")
    if not isinstance(port, dict):
        raise _Unknown
    number, several = port.get("number"), port.get("range")
    if isinstance(number, int):
        return PortRange(protocol, number, number)
    if isinstance(several, dict) and isinstance(several.get("start"), int):
        return PortRange(protocol, several["start"], several.get("end") or several["start"])
    raise _Unknown
