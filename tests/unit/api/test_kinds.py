"""Rules of the kinds that have few."""

from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import BadRequest, Invalid
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS_V1,
    LEASES,
    NAMESPACES,
    NODES,
    REPLICASETS,
    SECRETS,
    SERVICES,
    kind_of,
)
from wellhead.api.strategy import Context


def deployment(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    return named("d", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec})


def refusal(resource: Resource, obj: Obj) -> list[str]:
    with pytest.raises(Invalid) as refused:
        create(resource, obj)
    return problems(refused.value)


def test_deployment_defaults() -> None:
    made = create(DEPLOYMENTS, deployment())
    template = made["spec"].pop("template")
    assert made["spec"] == {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert template["spec"]["restartPolicy"] == "Always"
    assert "tolerations" not in template["spec"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        (
            {"selector": {"matchLabels": {"a": "c"}}},
            'spec.template.metadata.labels: Invalid value: {"a":"b"}: '
            "`selector` does not match template `labels`",
        ),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"strategy": {"type": "X"}}, "spec.strategy: Unsupported value"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
    ],
)
def test_deployment_rules(spec: Obj, problem: str) -> None:
    assert refusal(DEPLOYMENTS, deployment(**spec))[0].startswith(problem)


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS])
def test_the_selector_is_fixed_and_a_new_spec_is_a_new_generation(resource: Resource) -> None:
    obj = deployment()
    old = create(resource, obj)
    assert update(resource, old, old)["metadata"]["generation"] == 1
    scaled = update(resource, {**old, "spec": {**old["spec"], "replicas": 3}}, old)
    assert scaled["metadata"]["generation"] == 2
    labels = {"a": "b", "c": "d"}
    template = {**old["spec"]["template"], "metadata": {"labels": labels}}
    with pytest.raises(Invalid, match="field is immutable"):
        update(resource, deployment(selector={"matchLabels": labels}, template=template), old)


def test_a_node_registers_with_its_status() -> None:
    node = named("n", spec={"podCIDR": "10.244.1.0/24"}, status={"capacity": {"cpu": "2000m"}})
    made = create(NODES, {**node, "metadata": {"name": "n"}})
    assert made["spec"] == {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}
    assert made["status"]["capacity"] == made["status"]["allocatable"] == {"cpu": "2"}
    assert "namespace" not in made["metadata"]


def test_namespace_lifecycle_fields_are_the_servers() -> None:
    own = create(NAMESPACES, named("n", spec={"finalizers": ["example.com/x"]}))
    assert own["spec"] == {"finalizers": ["example.com/x", "kubernetes"]}
    made = create(NAMESPACES, named("n"))
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert update(NAMESPACES, {**made, "spec": {}}, made)["spec"] == made["spec"]
    assert update(NAMESPACES, {**made, "spec": {}}, made, "finalize")["spec"] == {}
    bare = {**made, "metadata": {"name": "n"}}
    for subresource in ("status", "finalize"):
        assert update(NAMESPACES, bare, made, subresource)["metadata"]["labels"] == made["metadata"]["labels"]


@pytest.mark.parametrize("ip", ["127.0.0.1", "169.254.1.1", "::1", "fe80::1", "0.0.0.0", "224.0.0.1", "x"])
def test_endpoints_never_lead_to_loopback_or_link_local(ip: str) -> None:
    said = refusal(ENDPOINTS, named(subsets=[{"addresses": [{"ip": ip}], "ports": [{"port": 80}]}]))
    assert said[0].startswith("subsets[0].addresses[0].ip: Invalid value")
    kind = "IPv6" if ":" in ip else "IPv4"
    said = refusal(ENDPOINTSLICES, named(addressType=kind, endpoints=[{"addresses": [ip]}]))
    assert said[0].startswith("endpoints[0].addresses[0]: Invalid value")


def test_a_nodes_pod_networks_are_one_of_each_family_and_stay() -> None:
    both = ["10.244.1.0/24", "fd00:10:244:1::/64"]
    made = create(NODES, named(spec={"podCIDRs": both}))
    assert made["spec"]["podCIDR"] == both[0]
    assert create(NODES, named(spec={"podCIDR": both[1]}))["spec"]["podCIDRs"] == both[1:]
    assert refusal(NODES, named(spec={"podCIDRs": [*both, "10.244.2.0/24"]})) == [
        'spec.podCIDRs: Invalid value: ["10.244.1.0/24","fd00:10:244:1::/64","10.244.2.0/24"]: '
        "may specify no more than one CIDR for each IP family"
    ]
    assert 'spec.podCIDRs[1]: Duplicate value: "10.244.1.0/24"' in refusal(
        NODES, named(spec={"podCIDRs": [both[0], both[0]]})
    )
    bare = create(NODES, named())
    assert update(NODES, {**bare, "spec": {"podCIDRs": both}}, bare)["spec"]["podCIDR"] == both[0]
    for spec in ({"podCIDRs": both[:1]}, {"podCIDRs": both[::-1]}, {"podCIDR": both[1]}, {}):
        with pytest.raises(Invalid, match="node updates may not change podCIDR except from"):
            update(NODES, {**made, "spec": spec}, made)


def test_a_node_names_each_address_once() -> None:
    made = create(NODES, named())
    first, second = ({"type": "InternalIP", "address": text} for text in ("10.240.0.11", "fd00:10:240::11"))
    both = {**made, "status": {"addresses": [first, second]}}
    assert update(NODES, both, made, "status")["status"]["addresses"] == [first, second]
    with pytest.raises(Invalid, match=r"status.addresses\[2\]: Duplicate value"):
        update(NODES, {**made, "status": {"addresses": [first, second, first]}}, made, "status")


def test_endpointslice_defaults_and_fixed_address_type() -> None:
    obj = named(addressType="IPv4", endpoints=[{"addresses": ["10.244.1.2"]}], ports=[{"port": 80}])
    made = create(ENDPOINTSLICES, obj)
    assert made["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]
    assert made["metadata"]["generation"] == 1
    with pytest.raises(Invalid, match=r"addressType.*field is immutable"):
        update(ENDPOINTSLICES, {**made, "addressType": "IPv6", "endpoints": []}, made)
    assert refusal(ENDPOINTSLICES, named(endpoints=[])) == ["addressType: Required value"]


def test_secret_takes_clear_text_and_keeps_its_type() -> None:
    made = create(SECRETS, named(stringData={"a": "b"}))
    assert (made["type"], made["data"]) == ("Opaque", {"a": "Yg=="})
    assert "stringData" not in made
    with pytest.raises(Invalid, match=r"type: Invalid value: \"x/y\": field is immutable"):
        update(SECRETS, {**made, "type": "x/y"}, made)
    assert refusal(SECRETS, named(type="kubernetes.io/tls")) == [
        "data[tls.crt]: Required value",
        "data[tls.key]: Required value",
    ]


def test_immutable_configmap_stays() -> None:
    made = create(CONFIGMAPS, named(data={"a": "b"}, immutable=True))
    with pytest.raises(Invalid, match="data: Forbidden: field is immutable when `immutable` is set"):
        update(CONFIGMAPS, {**made, "data": {"a": "c"}}, made)
    with pytest.raises(Invalid, match="immutable: Forbidden"):
        update(CONFIGMAPS, {**made, "immutable": False}, made)
    assert refusal(CONFIGMAPS, named(data={"a/b": ""}))[0].startswith('data[a/b]: Invalid value: "a/b"')


def test_lease_duration_is_positive() -> None:
    assert refusal(LEASES, named(spec={"leaseDurationSeconds": 0})) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]


def test_events_have_one_stored_form() -> None:
    event = {
        "metadata": {"name": "e", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "x",
        "reportingInstance": "y",
        "action": "do",
        "reason": "R",
        "type": "Normal",
        "note": "hello",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    }
    made = create(EVENTS_V1, event)
    strategy = kind_of(EVENTS_V1).strategy
    stored = strategy.to_storage(made)
    assert (stored["apiVersion"], stored["message"], stored["involvedObject"]["name"]) == ("v1", "hello", "p")
    assert strategy.from_storage(stored) == made


def test_names_are_checked_by_kind() -> None:
    assert refusal(CONFIGMAPS, {"metadata": {"name": "A"}})[0].startswith(
        'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of'
    )
    service = {"metadata": {"name": "A"}, "spec": {"ports": [{"port": 80}]}}
    assert "a lowercase RFC 1123 label must consist of" in refusal(SERVICES, service)[0]
    assert refusal(NAMESPACES, {"metadata": {"name": "a.b"}})[0].startswith("metadata.name")
    assert refusal(CONFIGMAPS, {"metadata": {}}) == [
        "metadata.name: Required value: name or generateName is required"
    ]


def test_metadata_is_filled_in_and_checked() -> None:
    made = create(CONFIGMAPS, {"metadata": {"generateName": "a-", "uid": "mine"}})
    metadata = made["metadata"]
    assert metadata["name"].startswith("a-")
    assert len(metadata["name"]) == 7
    assert metadata["uid"] != "mine"
    assert metadata["namespace"] == "default"
    with pytest.raises(BadRequest, match="does not match the namespace sent on the request"):
        create(CONFIGMAPS, {"metadata": {"name": "a", "namespace": "other"}})
    labels = {"metadata": {"name": "a", "labels": {"x": "a b"}}}
    assert refusal(CONFIGMAPS, labels)[0].startswith('metadata.labels: Invalid value: "a b": a valid label')
    finalizers = {"metadata": {"name": "a", "finalizers": ["x"]}}
    assert "nor is it fully qualified" in refusal(CONFIGMAPS, finalizers)[0]


def test_an_update_keeps_identity() -> None:
    old = create(CONFIGMAPS, named())
    new = update(CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"x": "y"}}, old)
    assert new["metadata"] == old["metadata"]
    with pytest.raises(Invalid, match=r"metadata\.uid: Invalid value"):
        update(CONFIGMAPS, {"metadata": {"name": "a", "uid": "other"}}, old)
    deleting = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    with pytest.raises(Invalid, match="no new finalizers can be added"):
        update(CONFIGMAPS, {"metadata": {"name": "a", "finalizers": ["x/y"]}}, deleting)


def test_the_context_has_a_clock() -> None:
    assert Context().now.endswith("Z")
