"""The laws of the core, for any cluster and any order of events."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.services.objects import endpoint, endpoint_slice, node, node_view, service
from wellhead.services.endpointslice import EndpointSlice
from wellhead.services.names import ServiceKey
from wellhead.services.node import LocalNode
from wellhead.services.node_view import NodeView
from wellhead.services.service import Service, ServicePort
from wellhead.services.service_map import ServiceMap, service_map
from wellhead.services.view import Action, Scope

NAMES = ("a", "b", "c")
NODES = ("node-1", "node-2", None)
ZONES = ("", "x", "y")
POLICIES = ("Cluster", "Local")
PRESERVE = "wellhead.dev/preserve-client-ip"
ANNOTATIONS: tuple[dict[str, str], ...] = ({}, {PRESERVE: "true"}, {PRESERVE: "false"}, {PRESERVE: "yes"})
INSIDE = tuple(ip_network(each) for each in ("10.240.0.0/24", "10.244.0.0/16", "fd00:10:244::/48"))


@st.composite
def services(draw: st.DrawFn, name: str | None = None) -> Service:
    """Few addresses and ports, so that Services often claim the same frontends."""
    name = name or draw(st.sampled_from(NAMES))
    families = draw(st.sampled_from([("4",), ("6",), ("4", "6"), ("6", "4")]))
    ip = {"4": f"10.0.0.{NAMES.index(name) + 1}", "6": f"fd00:10::{NAMES.index(name) + 1}"}
    protocols = draw(st.lists(st.sampled_from(["TCP", "UDP"]), min_size=1, max_size=2, unique=True))
    return service(
        name,
        cluster_ips=tuple(ip[each] for each in families),
        created=draw(st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"])),
        type="LoadBalancer",
        ports=tuple(
            {
                "name": each.lower(),
                "port": 80,
                "protocol": each,
                "nodePort": draw(st.sampled_from([0, 30080])),
            }
            for each in protocols
        ),
        externalIPs=draw(st.lists(st.sampled_from(["198.18.0.1", "10.0.0.2", "2001:db8::1"]), max_size=2)),
        ingress=tuple(
            {"ip": each, "ipMode": draw(st.sampled_from(["VIP", "Proxy"]))}
            for each in draw(st.lists(st.sampled_from(["203.0.113.1", "198.18.0.1"]), max_size=2))
        ),
        externalTrafficPolicy=draw(st.sampled_from(POLICIES)),
        internalTrafficPolicy=draw(st.sampled_from(POLICIES)),
        loadBalancerSourceRanges=draw(st.lists(st.sampled_from(["10.240.0.0/24", "0.0.0.0/0"]), max_size=1)),
        healthCheckNodePort=32000,
        annotations=draw(st.sampled_from(ANNOTATIONS)),
    )


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    family = draw(st.sampled_from(["IPv4", "IPv6"]))
    prefix = "10.244.0." if family == "IPv4" else "fd00::"
    return endpoint_slice(
        *(
            endpoint(
                f"{prefix}{draw(st.integers(1, 4))}",
                draw(st.sampled_from(NODES)),
                for_nodes=draw(st.sampled_from([(), ("node-1",), ("node-2",)])),
                for_zones=draw(st.sampled_from([(), ("x",), ("y",)])),
                ready=draw(st.booleans()),
                serving=draw(st.booleans()),
                terminating=draw(st.booleans()),
            )
            for _ in range(draw(st.integers(0, 3)))
        ),
        of=draw(st.sampled_from(NAMES)),
        name=draw(st.sampled_from(["s1", "s2", "s3"])),
        family=family,
        ports=({"name": "tcp", "port": 8080}, {"name": "udp", "port": 53, "protocol": "UDP"}),
    )


nodes = st.builds(
    node,
    zone=st.sampled_from(ZONES),
    detects=st.booleans(),
    masquerade_all=st.booleans(),
    preserve_client_ip=st.booleans(),
    returning=st.sampled_from([frozenset(), frozenset({"node-2"})]),
    inside=st.sampled_from([(), INSIDE[:1], INSIDE]),
)

changes = st.lists(
    st.one_of(
        services().map(lambda each: ("service", each.key, each)),
        st.sampled_from(NAMES).map(lambda name: ("service", ServiceKey("default", name), None)),
        slices().map(lambda each: ("slice", each.name, each)),
        st.sampled_from(["s1", "s2", "s3"]).map(lambda name: ("slice", name, None)),
        nodes.map(lambda each: ("node", None, each)),
        st.just(("update", None, None)),
    ),
    max_size=30,
)


@given(changes)
@settings(max_examples=examples(150), deadline=None)
def test_an_incremental_view_equals_a_rebuild_from_nothing(sequence: list[tuple[str, Any, Any]]) -> None:
    incremental = ServiceMap()
    here = node()
    view = NodeView(incremental, here)
    followed: dict[str, dict[Any, Any]] = {"ports": {}, "checks": {}}
    final_services: dict[ServiceKey, Service] = {}
    final_slices: dict[str, EndpointSlice] = {}

    def update() -> None:
        diff = view.update()
        for name, changed in (("ports", diff.ports), ("checks", diff.health_checks)):
            for key, (before, after) in changed.items():
                assert followed[name].pop(key, None) == before
                if after is not None:
                    followed[name][key] = after

    for what, key, value in sequence:
        if what == "service":
            incremental.set_service(key, value)
            final_services.pop(key, None)
            if value is not None:
                final_services[key] = value
        elif what == "slice":
            incremental.set_slice("default", key, value)
            final_slices.pop(key, None)
            if value is not None:
                final_slices[key] = value
        elif what == "node":
            here = value
            view.set_node(here)
        else:
            update()
    update()

    rebuilt = node_view(service_map(final_services.values(), final_slices.values()), here)
    assert view.ports == rebuilt.ports == followed["ports"]
    assert view.health_checks == rebuilt.health_checks == followed["checks"]


@given(st.lists(services(), max_size=6, unique_by=lambda each: each.key), st.randoms())
@settings(max_examples=examples(100), deadline=None)
def test_the_holder_of_a_frontend_does_not_depend_on_the_order_of_events(
    found: list[Service], random: Any
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    expected = node_view(service_map(found, []), node())
    assert node_view(service_map(shuffled, []), node()).ports == expected.ports
    held = [each.frontend for port in expected.ports.values() for each in port.frontends]
    assert len(held) == len(set(held)), "two ports hold one frontend"
    claimed = {frontend for each in found for port in each.ports for _, frontend in port.claims}
    assert set(held) == claimed, "a claimed frontend has no holder"


@given(st.lists(services(), max_size=3), st.lists(slices(), max_size=4), nodes)
@settings(max_examples=examples(150), deadline=None)
def test_local_policies_never_send_traffic_to_another_node(
    found: list[Service], all_slices: list[EndpointSlice], here: LocalNode
) -> None:
    """Traffic from outside under external Local, and all ClusterIP traffic under internal Local."""
    current = {each.key: each for each in found}
    latest = {each.name: each for each in all_slices}
    services_now = service_map(current.values(), latest.values())
    view = node_view(services_now, here)
    for each in current.values():
        for port in each.ports:
            shown = view.ports[port.key]
            on_this_node = {
                address
                for address, endpoint in services_now.endpoints(port).items()
                if endpoint.node == here.name
            }
            assert set(shown.local) <= on_this_node
            guarded = [shown.external.others] if port.external_local else []
            guarded += list(shown.internal) if port.internal_local else []
            for handling in guarded:
                assert handling.action is not Action.FORWARD or handling.scope is Scope.LOCAL
            if port.external_local:
                assert not shown.external.others.masquerade, "the true source is the point of the policy"


@given(st.lists(services(), max_size=3), st.lists(slices(), max_size=4), nodes)
@settings(max_examples=examples(100), deadline=None)
def test_what_is_forwarded_has_endpoints_to_go_to(
    found: list[Service], all_slices: list[EndpointSlice], here: LocalNode
) -> None:
    latest = {each.name: each for each in all_slices}
    current = {each.key: each for each in found}
    for port in node_view(service_map(current.values(), latest.values()), here).ports.values():
        for kind in {held.kind for held in port.frontends}:
            for handling in port.routing(kind):
                if handling.action is Action.FORWARD:
                    assert port.endpoints(handling.scope)
                    assert set(port.endpoints(handling.scope)) <= set(port.serving)


@st.composite
def clusters(draw: st.DrawFn) -> ServiceMap:
    latest = {each.name: each for each in draw(st.lists(slices(), max_size=4))}
    current = {each.key: each for each in draw(st.lists(services(), max_size=3))}
    return service_map(current.values(), latest.values())


def asks(port: ServicePort, here: LocalNode) -> bool:
    return here.preserve_client_ip if port.preserve_client_ip is None else port.preserve_client_ip


def ports_of(cluster: ServiceMap) -> list[ServicePort]:
    found = [cluster.service(key) for key in cluster]
    return [port for each in found if each is not None for port in each.ports]


@given(clusters(), nodes)
@settings(max_examples=examples(150), deadline=None)
def test_preserving_client_addresses_changes_nothing_but_masquerading_those_outside(
    cluster: ServiceMap, here: LocalNode
) -> None:
    """And nothing at all for Services that don't ask for it, or whose policy is Local."""
    without = dataclasses.replace(here, preserve_client_ip=False, returning=frozenset(), inside=())
    now, before = node_view(cluster, here).ports, node_view(cluster, without).ports
    for port in ports_of(cluster):
        after, plain = now[port.key], before[port.key]
        others = after.external.others._replace(preserve=False)
        external = after.external._replace(others=others)
        unsaid = msgspec.structs.replace(after, external=external, preserved=plain.preserved)
        assert unsaid == plain
        assert not plain.external.others.preserve
        if not asks(port, here) or port.external_local:
            assert after == plain


@given(clusters(), nodes)
@settings(max_examples=examples(150), deadline=None)
def test_only_connections_from_outside_that_would_be_masqueraded_are_preserved(
    cluster: ServiceMap, here: LocalNode
) -> None:
    for key, view in node_view(cluster, here).ports.items():
        inside = (*view.internal, view.external.pods, view.external.node)
        assert not any(each.preserve for each in inside)
        others = view.external.others
        if others.preserve:
            assert (others.action, others.scope, others.masquerade) == (Action.FORWARD, Scope.CLUSTER, True)
            assert any(each.version == key.family for each in here.inside), "who is inside must be known"


@given(clusters(), nodes)
@settings(max_examples=examples(150), deadline=None)
def test_only_endpoints_whose_replies_come_back_see_the_client(cluster: ServiceMap, here: LocalNode) -> None:
    view = node_view(cluster, here)
    for port in ports_of(cluster):
        shown = view.ports[port.key]
        endpoints = cluster.endpoints(port)
        preserved = shown.preserved
        assert shown.external.others.preserve == (preserved is not None and bool(preserved.returning))
        if preserved is None:
            continue
        knows = here.knows_inside(port.key.family)
        for address in shown.cluster:
            where = endpoints[address].node
            if knows and (where == here.name or where in here.returning):
                assert address.ip in preserved.returning
            else:
                assert where in preserved.elsewhere
        assert set(preserved.returning) <= {each.ip for each in shown.cluster}
