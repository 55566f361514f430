"""Whatever the objects say: nothing raises, shares sum to 1, and what no configuration can break holds."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.paths.objects import (
    FLANNEL,
    Obj,
    config_map,
    daemon_set,
    endpoints,
    kind,
    kube_proxy,
    node,
    pod,
    service,
    world,
)
from wellhead.paths.expectation import verdicts
from wellhead.paths.explain import Question
from wellhead.paths.rendering import text
from wellhead.paths.report import explain
from wellhead.paths.schema import encode, schema
from wellhead.paths.way import Disposition, Report, SeenAs, What

NAMES = ("oslo", "lima", "cairo", "quito", "seoul")
VALIDATOR = jsonschema_rs.Draft202012Validator(json.loads(json.dumps(schema())))
NETWORKS: list[list[Obj]] = [
    [],
    FLANNEL,
    [daemon_set("kindnet", "example/kindnetd:v1", env={"POD_SUBNET": "10.50.0.0/16"})],
    [kind("IPPool", name="pods", spec={"cidr": "10.50.0.0/16", "natOutgoing": True, "vxlanMode": "Always"})],
    [config_map("cilium-config", **{"kube-proxy-replacement": "true", "bpf-lb-mode": "hybrid"})],
    [kind("FelixConfiguration", spec={"bpfEnabled": True})],
    [daemon_set("kube-router", "example/kube-router:v2")],
    [daemon_set("weave-net", "example/weave-kube:2")],
    [daemon_set("wellhead-proxy", "wellhead-proxy:0.1.0", "proxy")],
    [
        daemon_set("ip-masq-agent", "example/ip-masq-agent:2"),
        config_map("ip-masq-agent", config="nonMasqueradeCIDRs: [10.50.0.0/17]"),
    ],
]


@st.composite
def services(draw: st.DrawFn) -> Obj:
    spec: dict[str, Any] = {
        "type": draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"])),
        "externalTrafficPolicy": draw(st.sampled_from(["Cluster", "Local"])),
        "internalTrafficPolicy": draw(st.sampled_from(["Cluster", "Local"])),
        "sessionAffinity": draw(st.sampled_from(["None", "ClientIP"])),
        "protocol": draw(st.sampled_from(["TCP", "UDP"])),
        "annotations": draw(
            st.sampled_from([{}, {"wellhead.dev/preserve-client-ip": "true"}, {"metallb.io/x": "y"}])
        ),
    }
    if draw(st.booleans()):
        spec["externalIPs"] = ["192.0.2.77"]
    if draw(st.booleans()):
        spec["loadBalancerSourceRanges"] = draw(
            st.sampled_from([["203.0.113.0/24"], ["10.0.0.0/8"], ["0.0.0.0/0"]])
        )
    if spec["type"] == "LoadBalancer":
        ingress = [
            {"ip": "198.18.5.5"},
            {"ip": "198.18.5.5", "ipMode": "Proxy"},
            {"hostname": "x.example.org"},
            {"ip": "10.9.0.1"},
        ]
        spec["ingress"] = draw(st.sampled_from([[], *([each] for each in ingress)]))
        spec |= draw(
            st.sampled_from(
                [
                    {},
                    {"loadBalancerClass": "wellhead.dev/proxy"},
                    {"loadBalancerClass": "service.k8s.aws/nlb"},
                    {"loadBalancerClass": "example.com/x"},
                ]
            )
        )
    return service(**spec)


@st.composite
def clusters(draw: st.DrawFn) -> list[Obj]:
    """One to five nodes, a Service, its endpoints in all states, and parties."""
    count = draw(st.integers(1, 5))
    version = draw(
        st.sampled_from(["v1.17.0", "v1.25.0", "v1.34.0", "v1.37.1+wellhead-0.1.0", "v1.34.1+k3s1"])
    )
    provider = draw(st.sampled_from(["", "aws", "gce", "azure", "hcloud", "openstack", "kind", "nobody"]))
    nodes = [
        node(name, number, version=version, provider=provider) for number, name in enumerate(NAMES[:count], 1)
    ]
    target = draw(services())
    protocol = target["spec"]["ports"][0]["protocol"]
    slices = []
    for number in range(1, count + 1):
        for host in draw(st.sets(st.integers(2, 4), max_size=2)):
            on_host = draw(st.booleans()) and draw(st.booleans())
            conditions = draw(
                st.sampled_from(
                    [
                        {"ready": True},
                        {"ready": False},
                        {"ready": False, "serving": True, "terminating": True},
                    ]
                )
            )
            address = f"10.9.0.{number}" if on_host else f"10.50.{number}.{host}"
            each = endpoints((address, NAMES[number - 1]), protocol=protocol, conditions=conditions)
            each["metadata"]["name"] = f"api-{number}-{host}"
            slices.append(each)
    proxies = [
        kube_proxy(),
        kube_proxy(mode="ipvs"),
        kube_proxy(mode="nftables", detectLocalMode="NodeCIDR"),
        kube_proxy(clusterCIDR='""'),
        kube_proxy(iptables="{masqueradeAll: true}"),
        kube_proxy(detectLocalMode="BridgeInterface"),
    ]
    return [
        *nodes,
        target,
        *slices,
        draw(st.sampled_from(proxies)),
        *draw(st.sampled_from(NETWORKS)),
        pod("shell", "10.50.1.40", "oslo"),
    ]


def check(report: Report) -> None:
    """What holds of every report."""
    VALIDATOR.validate(json.loads(encode(report)))
    for way in report.ways:
        assert abs(sum(each.share for each in way.outcomes) - 1) < 1e-9
        for each in way.outcomes:
            delivered = each.disposition is Disposition.DELIVERED
            assert delivered == (each.endpoint is not None)
            assert delivered or each.source is None
            if each.disposition is Disposition.UNKNOWN:
                assert each.notes
            elif not delivered and each.disposition is not Disposition.UNREACHABLE:
                assert each.steps[-1].what in (What.DROP, What.REFUSE)
            if each.seen_as is SeenAs.CLIENT and way.client_address:
                node_client = way.client.startswith("node/")
                assert node_client or each.source == way.client_address
            rewriting = [step for step in each.steps if step.what in (What.SNAT, What.TERMINATE)]
            if each.seen_as in (SeenAs.NODE, SeenAs.BALANCER, SeenAs.POD) and delivered:
                assert rewriting or way.client.startswith("node/")
            assert all(step.who for step in each.steps)
    for render in (text.text, text.markdown):
        assert render(report)
    text.text(report, wide=True)
    text.picture(report, "svg")
    text.picture(report, "mermaid")
    verdicts(report)


@settings(max_examples=examples(60), deadline=None)
@given(objects=clusters())
def test_any_cluster_is_answered_for(objects: list[Obj]) -> None:
    check(explain(world(objects), Question("svc/api", "team")))


PLAIN = [node(name, number) for number, name in enumerate(NAMES[:3], 1)]


@settings(max_examples=examples(40), deadline=None)
@given(target=services(), places=st.sets(st.integers(1, 3), min_size=1))
def test_under_local_nobody_outside_is_ever_masqueraded_by_kube_proxy(target: Obj, places: set[int]) -> None:
    target["spec"] |= {"type": "NodePort", "externalTrafficPolicy": "Local"}
    target["spec"]["ports"][0]["nodePort"] = 31000
    protocol = target["spec"]["ports"][0]["protocol"]
    listed = endpoints(*((f"10.50.{each}.5", NAMES[each - 1]) for each in sorted(places)), protocol=protocol)
    found = explain(world(PLAIN, kube_proxy(), target, listed), Question("svc/api", "team", ("203.0.113.9",)))
    for way in found.ways:
        if way.frontend == "NodePort":
            local = int(way.address.rpartition(".")[2]) in places
            assert {each.disposition for each in way.outcomes} == {
                Disposition.DELIVERED if local else Disposition.DROPPED
            }
            assert all(each.source == ("203.0.113.9" if local else None) for each in way.outcomes)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.sampled_from(["", "None", "Local", "10.50.1.5", "TCP", "x/y", "::1", "10.50.0.0/16"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "ip", "port", "protocol", "ports", "addresses", "spec"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@st.composite
def lies(draw: st.DrawFn) -> list[Obj]:
    """A cluster of which something says what it must not."""
    objects = json.loads(json.dumps(draw(clusters())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.sampled_from(objects))
        for _ in range(draw(st.integers(1, 6))):
            if isinstance(at, dict) and at:
                key: Any = draw(st.sampled_from(sorted(at)))
            elif isinstance(at, list) and at:
                key = draw(st.integers(0, len(at) - 1))
            else:
                break
            if isinstance(at[key], (dict, list)) and at[key] and draw(st.booleans()):
                at = at[key]
                continue
            if key not in ("kind",) and not (isinstance(at, dict) and key == "name" and at[key] == "api"):
                at[key] = draw(JUNK)
            break
    return list(objects)


@settings(max_examples=examples(80), deadline=None)
@given(objects=lies())
def test_objects_that_lie_degrade_by_cell(objects: list[Obj]) -> None:
    from wellhead.paths.targets import UnknownTarget

    cluster = world([each for each in objects if isinstance(each, dict)])
    try:
        report = explain(cluster, Question("svc/api", "team"))
    except UnknownTarget:
        return
    check(report)


@settings(max_examples=examples(60), deadline=None)
@given(
    objects=st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(
                    [
                        "Service",
                        "Node",
                        "Pod",
                        "EndpointSlice",
                        "Ingress",
                        "ConfigMap",
                        "IPPool",
                        "DaemonSet",
                        "HTTPRoute",
                        "Gateway",
                        "Wonder",
                    ]
                ),
                "metadata": JUNK,
                "spec": JUNK,
                "status": JUNK,
                "data": JUNK,
            }
        ),
        max_size=5,
    )
)
def test_half_written_objects_of_any_kind_are_read(objects: list[Obj]) -> None:
    check(
        explain(
            world(objects, PLAIN, kube_proxy(), service(type="NodePort"), endpoints(("10.50.1.5", "oslo"))),
            Question("svc/api", "team"),
        )
    )


def test_no_nodes_no_endpoints_no_configuration() -> None:
    for objects in (
        [service(type="LoadBalancer", ingress=[{"ip": "198.18.5.5"}])],
        [service(type="NodePort")],
        [service()],
    ):
        report = explain(world(objects), Question("svc/api", "team"))
        check(report)
