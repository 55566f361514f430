"""What the picture shows of each object, made of what `wellhead.paths` reads in it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wellhead.api.names import PRESERVE_CLIENT_IP_ANNOTATION
from wellhead.ip import IPAddress, parse_address
from wellhead.page.values import Balancer, Endpoint, Node, Pod, Port, Service, Vip
from wellhead.paths.nodes import NodeFacts
from wellhead.paths.parties.base import Balancer as Party
from wellhead.paths.pods import PodFacts
from wellhead.paths.reading import Obj, is_true, number, table, tables, text, texts
from wellhead.paths.services import ServiceFacts
from wellhead.services.endpointslice import conditions

PodAt = Callable[[IPAddress], str]
"""The id of the pod that has an address; empty if none has."""

_HOW = {"forward": "forwarding", "node-port": "forwarding", "endpoint": "forwarding"}


def node_id(name: str) -> str:
    return f"node/{name}"


def pod_id(namespace: str, name: str) -> str:
    return f"pod/{namespace}/{name}"


def service_id(namespace: str, name: str) -> str:
    return f"service/{namespace}/{name}"


def node(facts: NodeFacts, obj: Obj, checks: Mapping[str, bool]) -> Node:
    return Node(
        id=node_id(facts.name),
        name=facts.name,
        addresses=_texts(facts.internal),
        external=_texts(facts.external),
        pod_cidrs=_texts(facts.pod_cidrs),
        ready=facts.ready,
        unschedulable=table(obj, "spec").get("unschedulable") is True,
        excluded=facts.excluded,
        zone=facts.zone,
        checks=dict(checks),
    )


def pod(facts: PodFacts, obj: Obj, services: Iterable[str]) -> Pod:
    conditions = tables(obj, "status", "conditions")
    return Pod(
        id=pod_id(facts.namespace, facts.name),
        namespace=facts.namespace,
        name=facts.name,
        node=facts.node,
        addresses=_texts(facts.addresses),
        ready=any((text(each, "type"), text(each, "status")) == ("Ready", "True") for each in conditions),
        phase=text(obj, "status", "phase") or "Pending",
        host_network=facts.host_network,
        terminating=bool(text(obj, "metadata", "deletionTimestamp")),
        services=tuple(sorted(services)),
    )


def service(facts: ServiceFacts, pod_at: PodAt, balancer: str) -> Service:
    spec = facts.spec
    own = service_id(facts.namespace, facts.name)
    return Service(
        id=own,
        namespace=facts.namespace,
        name=facts.name,
        type=facts.type,
        headless=facts.headless,
        cluster_ips=tuple(
            dict.fromkeys(
                each for each in (text(spec, "clusterIP"), *texts(spec, "clusterIPs")) if parse_address(each)
            )
        ),
        external_ips=tuple(texts(spec, "externalIPs")),
        vips=vips(facts),
        ports=tuple(
            Port(
                name=text(each, "name"),
                port=number(each, "port") or 0,
                protocol=text(each, "protocol") or "TCP",
                node_port=number(each, "nodePort"),
                target_port=text(each, "targetPort"),
            )
            for each in tables(spec, "ports")
        ),
        external_traffic_policy=text(spec, "externalTrafficPolicy"),
        internal_traffic_policy=text(spec, "internalTrafficPolicy"),
        preserve_client_ip=is_true(facts.annotations.get(PRESERVE_CLIENT_IP_ANNOTATION, "")),
        class_=text(spec, "loadBalancerClass"),
        source_ranges=tuple(facts.source_ranges),
        affinity=text(spec, "sessionAffinity"),
        health_check_node_port=number(spec, "healthCheckNodePort") or None,
        balancer=balancer,
        endpoints=_endpoints(facts, pod_at),
    )


def vips(facts: ServiceFacts) -> tuple[Vip, ...]:
    own = service_id(facts.namespace, facts.name)
    return tuple(
        Vip(address=str(each.ip) if each.ip is not None else each.hostname, mode=each.mode, service=own)
        for each in facts.balancer_addresses
    )


def _endpoints(facts: ServiceFacts, pod_at: PodAt) -> tuple[Endpoint, ...]:
    targets = _targets(facts)

    def pod_of(address: IPAddress) -> str:
        return targets.get(address) or pod_at(address)

    found: dict[tuple[str, int], Endpoint] = {}
    for port in facts.ports():
        for at, endpoint in sorted(facts.endpoints(port).items()):
            found[str(at.ip), at.port] = Endpoint(
                address=str(at.ip),
                port=at.port,
                node=endpoint.node,
                pod=pod_of(at.ip),
                ready=endpoint.ready,
                serving=endpoint.serving,
                terminating=endpoint.terminating,
            )
    if facts.headless:
        for each in _of_headless(facts, pod_of):
            found.setdefault((each.address, each.port), each)
    return tuple(found.values())


def _of_headless(facts: ServiceFacts, pod_of: PodAt) -> Iterable[Endpoint]:
    """No proxy reads these: names lead to them."""
    for each in facts.endpoint_slices:
        for endpoint in tables(each, "endpoints"):
            said = conditions({"conditions": table(endpoint, "conditions")})
            for written in texts(endpoint, "addresses"):
                address = parse_address(written)
                for port in tables(each, "ports") if address is not None else ():
                    assert address is not None
                    yield Endpoint(
                        address=str(address),
                        port=number(port, "port") or 0,
                        node=text(endpoint, "nodeName"),
                        pod=pod_of(address),
                        ready=said.ready,
                        serving=said.serving,
                        terminating=said.terminating,
                    )


def _targets(facts: ServiceFacts) -> dict[IPAddress, str]:
    """Pods by address, as slices name them: pods of the host network share their node's."""
    found: dict[IPAddress, str] = {}
    for each in facts.endpoint_slices:
        for endpoint in tables(each, "endpoints"):
            if text(endpoint, "targetRef", "kind") == "Pod":
                namespace = text(endpoint, "targetRef", "namespace") or facts.namespace
                for written in texts(endpoint, "addresses"):
                    if (address := parse_address(written)) is not None:
                        found[address] = pod_id(namespace, text(endpoint, "targetRef", "name"))
    return found


def passing(entity: Service) -> frozenset[str]:
    """The names of the nodes that pass the Service's health check: those with a ready endpoint."""
    if entity.health_check_node_port is None:
        return frozenset()
    return frozenset(each.node for each in entity.endpoints if each.ready and each.node)


# Balancers


def balancer_id(name: str, class_: str) -> str:
    return f"balancer/{name}/{class_}" if class_ else f"balancer/{name}"


def balancer(party: Party, class_: str, members: Iterable[ServiceFacts]) -> Balancer:
    """One that leads the addresses of these Services to the nodes."""
    found: list[Vip] = []
    how: set[str] = set()
    holders: dict[str, None] = {}
    for facts in members:
        found += vips(facts)
        port = next(iter(facts.ports()), None)
        for each in facts.balancer_addresses[:1] or (None,):
            if port is None:
                continue
            delivery = party.delivers(facts, each.ip if each is not None else None, port.protocol)
            how.add(
                "terminating" if delivery.how.startswith("terminate") else _HOW.get(delivery.how, "unknown")
            )
            holders |= dict.fromkeys(map(node_id, delivery.nodes or ()))
    return Balancer(
        id=balancer_id(party.name, class_),
        name=party.name,
        class_=class_,
        how=how.pop() if len(how) == 1 else "unknown",
        vips=tuple(sorted(found, key=lambda each: (each.service, each.address))),
        holders=tuple(holders),
        recognised_by=party.recognised_by,
    )


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(str, values))
