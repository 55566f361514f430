"""NetworkPolicies: what may come to pods, and go from them.

Upstream: ValidateNetworkPolicy in pkg/apis/networking/validation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from ipaddress import ip_network

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import cidr, port_name, port_number, strict_cidr
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings.addresses import of_network

NETWORKPOLICIES = Resource(
    "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", short_names=("netpol",)
)

_TYPES = ("Ingress", "Egress")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def _odd_networks(at: str, block: Obj) -> Iterator[str]:
    if block.get("cidr"):
        yield from of_network(f"{at}.cidr", block["cidr"])
    for index, network in enumerate(block.get("except") or ()):
        yield from of_network(f"{at}.except[{index}]", network)


class NetworkPolicyStrategy(Strategy):
    repeats_warnings = True

    def warnings(self, obj: Obj) -> list[str]:
        return [
            text
            for direction, side in (("ingress", "from"), ("egress", "to"))
            for index, rule in enumerate(obj["spec"].get(direction) or ())
            for number, peer in enumerate(rule.get(side) or ())
            for text in _odd_networks(
                f"spec.{direction}[{index}].{side}[{number}].ipBlock", peer.get("ipBlock") or {}
            )
        ]

    counts_generations = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("podSelector", {})
        for direction, _ in _DIRECTIONS:
            for rule in spec.get(direction) or ():
                for port in rule.get("ports") or ():
                    port.setdefault("protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate(self, obj: Obj) -> list[Cause]:
        return list(_of_spec(obj["spec"], ()))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return list(_of_spec(new["spec"], set(_networks(old.get("spec") or {}))))


def _networks(spec: Obj) -> Iterator[str]:
    for direction, peers in _DIRECTIONS:
        for rule in spec.get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield block.get("cidr") or ""
                yield from block.get("except") or ()


def _of_spec(spec: Obj, known: Collection[str]) -> Iterator[Cause]:
    yield from validate_label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, peers in _DIRECTIONS:
        for index, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                yield from _of_port(port, f"{at}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or ()):
                yield from _of_peer(peer, f"{at}.{peers}[{number}]", known)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        yield Cause.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        yield from one_of(f"spec.policyTypes[{index}]", kind, _TYPES)


def _of_port(port: Obj, at: str) -> Iterator[Cause]:
    yield from one_of(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)
    first, last = port.get("port"), port.get("endPort")
    if isinstance(first, str):
        if last is not None:
            yield Cause.invalid(f"{at}.endPort", last, "may not be specified when `port` is non-numeric")
        yield from (Cause.invalid(f"{at}.port", first, text) for text in port_name(first))
    elif first is None:
        if last is not None:
            yield Cause.invalid(f"{at}.endPort", last, "may not be specified when `port` is not specified")
    else:
        yield from (Cause.invalid(f"{at}.port", first, text) for text in port_number(first))
        if last is not None:
            if last < first:
                yield Cause.invalid(f"{at}.endPort", first, "must be greater than or equal to `port`")
            yield from (Cause.invalid(f"{at}.endPort", last, text) for text in port_number(last))


def _of_peer(peer: Obj, at: str, known: Collection[str]) -> Iterator[Cause]:
    given = [
        field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None
    ]
    for field in ("podSelector", "namespaceSelector"):
        if field in given:
            yield from validate_label_selector(peer[field], f"{at}.{field}")
    if "ipBlock" in given:
        yield from _of_block(peer["ipBlock"], f"{at}.ipBlock", known)
    if not given:
        yield Cause.required(at, "must specify a peer")
    elif len(given) > 1 and "ipBlock" in given:
        yield Cause.forbidden(at, "may not specify both ipBlock and another peer")


def _of_block(block: Obj, at: str, known: Collection[str]) -> Iterator[Cause]:
    whole = block.get("cidr") or ""
    if not whole:
        yield Cause.required(f"{at}.cidr")
        return
    yield from (Cause.invalid(f"{at}.cidr", whole, text) for text in _cidr(whole, known))
    if cidr(whole):
        return
    around = ip_network(whole, strict=False)
    for index, text in enumerate(block.get("except") or ()):
        here = f"{at}.except[{index}]"
        yield from (Cause.invalid(here, text, problem) for problem in _cidr(text, known))
        if cidr(text):
            continue
        hole = ip_network(text, strict=False)
        inside = hole.version == around.version and hole.network_address in around
        if not inside or around.prefixlen >= hole.prefixlen:
            yield Cause.invalid(here, text, "must be a strict subset of `cidr`")


def _cidr(text: str, known: Collection[str]) -> list[str]:
    """What was stored in an older form may stay."""
    return cidr(text) if text in known else strict_cidr(text)


def _cells(policy: Obj, now: datetime) -> list[Cell]:
    return [
        cells.name(policy),
        cells.selector(policy["spec"].get("podSelector")),
        cells.created(policy, now),
    ]


KIND = Kind(NETWORKPOLICIES, NetworkPolicyStrategy(), Printer((NAME, Column("Pod-Selector"), AGE), _cells))
