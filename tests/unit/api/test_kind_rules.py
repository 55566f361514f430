"""Objects that are none, of every kind but Pods and Services: each with the cause that upstream gives."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    EVENTS_V1,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def slice_of(endpoint: Obj, kind: str = "IPv4") -> Obj:
    return named(addressType=kind, endpoints=[endpoint], ports=[])


def hinted(**hints: Any) -> Obj:
    return slice_of({"addresses": ["10.0.0.1"], "hints": hints})


def event(**fields: Any) -> Obj:
    return (
        named(
            involvedObject={"kind": "Pod", "namespace": "default"},
            eventTime="2026-01-01T00:00:00.000000Z",
            reportingComponent="example.com/x",
            reportingInstance="i",
            action="a",
            reason="r",
        )
        | fields
    )


def event_v1(**fields: Any) -> Obj:
    return (
        named(
            regarding={"kind": "Pod", "namespace": "default"},
            eventTime="2026-01-01T00:00:00.000000Z",
            reportingController="example.com/x",
            reportingInstance="i",
            action="a",
            reason="r",
            type="Normal",
        )
        | fields
    )


def workload(**spec: Any) -> Obj:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }
    return named(spec={"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec})


INVALID: list[tuple[Resource, Obj, str]] = [
    (
        LEASES,
        named(spec={"strategy": "Mine"}),
        'spec.strategy.strategy: Unsupported value: "Mine": supported values: "OldestEmulationVersion"',
    ),
    (
        LEASES,
        named(spec={"preferredHolder": "x"}),
        "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
    ),
    (
        LEASES,
        named(spec={"strategy": "a b/c"}),
        'spec.strategy.strategy: Invalid value: "a b/c": prefix part a lowercase',
    ),
    (
        ENDPOINTSLICES,
        hinted(forZones=[{"name": "a"}, {"name": "a"}]),
        'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
    ),
    (
        ENDPOINTSLICES,
        hinted(forZones=[{"name": str(number)} for number in range(9)]),
        "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items",
    ),
    (
        ENDPOINTSLICES,
        hinted(forNodes=[{"name": "A"}]),
        'endpoints[0].hints.forNodes[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain',
    ),
    (
        ENDPOINTSLICES,
        slice_of({"addresses": ["2001:db8::1"]}),
        'endpoints[0].addresses: Invalid value: "2001:db8::1": must be an IPv4 address',
    ),
    (
        ENDPOINTSLICES,
        slice_of({"addresses": ["local"]}, "FQDN"),
        'endpoints[0].addresses[0]: Invalid value: "local": should be a domain with at least two segments',
    ),
    (
        ENDPOINTSLICES,
        slice_of({"addresses": ["10.0.0.1"], "hostname": ""}),
        'endpoints[0].hostname: Invalid value: "": a lowercase RFC 1123 label must consist of',
    ),
    (
        ENDPOINTS,
        named(subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "appProtocol": "a b"}]}]),
        'subsets[0].ports[0].appProtocol: Invalid value: "a b": name part must consist of',
    ),
    (
        SECRETS,
        named(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": encoded("{")}),
        'data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": is not a JSON object',
    ),
    (
        SECRETS,
        named(type="kubernetes.io/ssh-auth", data={"ssh-privatekey": ""}),
        "data[ssh-privatekey]: Required value",
    ),
    (
        NODES,
        named(status={"capacity": {"pods": "1.5"}}),
        'status.capacity.pods: Invalid value: "1500m": must be an integer',
    ),
    (
        NODES,
        named(status={"allocatable": {"cpu": "-1"}}),
        'status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (
        NODES,
        named(status={"declaredFeatures": ["B", "A"]}),
        'status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically',
    ),
    (
        NODES,
        named(spec={"taints": [{"key": "a", "effect": "No"}]}),
        'metadata.taints[0].effect: Unsupported value: "No": supported values: "NoSchedule", "PreferNoSchedu',
    ),
    (
        NAMESPACES,
        named(spec={"finalizers": ["mine"]}),
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it',
    ),
    (
        NODES,
        {"metadata": {"name": "n", "finalizers": ["example.com/x", "mine"]}},
        'metadata.finalizers[1]: Invalid value: "mine": name is neither a standard finalizer name nor is it',
    ),
    (
        NODES,
        {
            "metadata": {
                "name": "n",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}],
            }
        },
        "metadata.ownerReferences: Invalid value: ",
    ),
    (
        EVENTS,
        event(involvedObject={"kind": "Pod", "namespace": "other"}, eventTime=None),
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
    ),
    (EVENTS, event(action=""), "action: Required value"),
    (EVENTS, event(reportingComponent=""), "reportingComponent: Required value"),
    (EVENTS, event(message="x" * 1025), 'message: Invalid value: "": can have at most 1024 characters'),
    (EVENTS_V1, event_v1(type="X"), 'type: Invalid value: "": has invalid value: X'),
    (EVENTS_V1, event_v1(deprecatedCount=2), 'count: Invalid value: "": needs to be unset'),
    (
        EVENTS_V1,
        event_v1(series={"count": 1, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}),
        'series.count: Invalid value: "": should be at least 2',
    ),
    (EVENTS_V1, event_v1(reportingController="a b"), 'reportingController: Invalid value: "a b": name part'),
    (
        REPLICASETS,
        workload(selector={}),
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    ),
    (
        DEPLOYMENTS,
        workload(selector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In'",
    ),
]


@pytest.mark.parametrize(("resource", "obj", "problem"), INVALID)
def test_an_object_that_is_none(resource: Resource, obj: Obj, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        create(resource, obj)
    assert any(said.startswith(problem) for said in problems(refused.value)), problems(refused.value)


def test_an_event_may_be_about_what_has_no_namespace() -> None:
    create(EVENTS, event(involvedObject={"kind": "Node"}))
    create(EVENTS_V1, event_v1(regarding={"kind": "Node"}))


STATUSES: list[tuple[Resource, Obj, Obj, str]] = [
    (
        DEPLOYMENTS,
        workload(),
        {"replicas": 1, "readyReplicas": 2},
        "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
    ),
    (
        DEPLOYMENTS,
        workload(),
        {"replicas": 1, "availableReplicas": 1},
        "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas",
    ),
    (
        REPLICASETS,
        workload(),
        {"replicas": -1},
        "status.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        PODS,
        named(spec={"containers": [{"name": "c", "image": "i:1"}]}),
        {"conditions": [{"type": "a b", "status": "True"}]},
        'status.conditions[0].Type: Invalid value: "a b": name part must consist of',
    ),
    (
        PODS,
        named(spec={"containers": [{"name": "c", "image": "i:1"}]}),
        {"nominatedNodeName": "A"},
        'status.nominatedNodeName: Invalid value: "A": a lowercase RFC 1123 subdomain',
    ),
    (
        NODES,
        named(),
        {"capacity": {"example.com/card": "0.5"}},
        'status.capacity.example.com/card: Invalid value: "500m": must be an integer',
    ),
]


@pytest.mark.parametrize(("resource", "obj", "status", "problem"), STATUSES)
def test_a_status_that_is_none(resource: Resource, obj: Obj, status: Obj, problem: str) -> None:
    old = create(resource, obj)
    with pytest.raises(Invalid) as refused:
        update(resource, {**old, "status": status}, old, "status")
    assert any(said.startswith(problem) for said in problems(refused.value)), problems(refused.value)


def test_labels_are_checked_when_they_come_with_a_status() -> None:
    old = create(NODES, named())
    with pytest.raises(Invalid, match=r"metadata\.labels"):
        update(NODES, {**old, "metadata": {**old["metadata"], "labels": {"a b": "c"}}}, old, "status")


def test_a_namespaces_finalizers_are_names() -> None:
    old = create(NAMESPACES, named())
    update(NAMESPACES, {**old, "spec": {"finalizers": ["example.com/x"]}}, old, "finalize")
    with pytest.raises(Invalid, match=r"spec\.finalizers\[0\]"):
        update(NAMESPACES, {**old, "spec": {"finalizers": ["mine"]}}, old, "finalize")


def test_of_an_event_only_the_series_changes() -> None:
    old = create(EVENTS_V1, event_v1())
    grown = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    update(EVENTS_V1, {**old, "series": grown}, old)
    for change, field in (
        ({"note": "x"}, "message"),
        ({"reason": "x"}, "reason"),
        ({"eventTime": "2026-01-01T00:00:01.000000Z"}, "eventTime"),
        ({"reportingController": "x"}, "reportingController"),
    ):
        with pytest.raises(Invalid) as refused:
            update(EVENTS_V1, {**old, **change}, old)
        assert [cause.field for cause in refused.value.causes] == [field]


def test_a_topology_of_older_clients_is_left_out() -> None:
    made = create(ENDPOINTSLICES, slice_of({"addresses": ["10.0.0.1"], "deprecatedTopology": {"a": "b"}}))
    assert made["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]
