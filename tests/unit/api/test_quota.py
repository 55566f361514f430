"""What objects use of quotas, and what quotas allow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity
from wellhead.api.quota.check import Exceeded, charged, demand, handles
from wellhead.api.quota.pods import pod_amounts
from wellhead.api.quota.scopes import counts
from wellhead.api.quota.usage import usage
from wellhead.api.resource import Resource
from wellhead.api.resources import CONFIGMAPS, DEPLOYMENTS, PODS, SERVICES, by_kind
from wellhead.controllers.resourcequota.counting import counted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def quota(hard: Obj, used: Obj | None = None, **spec: Any) -> Obj:
    known = dict.fromkeys(hard, "0") if used is None else used
    status = {"hard": hard, "used": known}
    return {"metadata": {"name": "q", "namespace": "n"}, "spec": {"hard": hard, **spec}, "status": status}


def container(name: str = "c", **resources: Obj) -> Obj:
    return {"name": name, "resources": resources}


def pod(*containers: Obj, **spec: Any) -> Obj:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers or [container()]), **spec}}


def used(resource: Resource, obj: Obj) -> dict[str, str]:
    return {name: str(amount) for name, amount in usage(resource, obj, NOW).items()}


def test_a_pod_asks_for_what_runs_together_or_for_what_runs_first() -> None:
    asked = pod(
        container("a", requests={"cpu": "1", "memory": "1Gi"}),
        container("b", requests={"cpu": "500m"}),
        initContainers=[
            {**container("side", requests={"cpu": "100m"}), "restartPolicy": "Always"},
            container("first", requests={"cpu": "3"}),
        ],
        overhead={"memory": "1Mi"},
    )
    found = {name: str(amount) for name, amount in pod_amounts(asked, "requests").items()}
    assert found == {"cpu": "3100m", "memory": "1025Mi"}


def test_a_pod_counts_under_every_name_of_what_it_asks_for() -> None:
    asked = pod(container(requests={"cpu": "1", "a.b/gpu": "2"}, limits={"cpu": "2", "a.b/gpu": "2"}))
    assert used(PODS, asked) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "1",
        "requests.cpu": "1",
        "requests.a.b/gpu": "2",
        "limits.cpu": "2",
    }
    assert used(PODS, {**asked, "status": {"phase": "Succeeded"}}) == {"count/pods": "1"}


@pytest.mark.parametrize(
    ("spec", "node_ports", "balancers"),
    [
        ({"type": "ClusterIP", "ports": [{}]}, "0", "0"),
        ({"type": "NodePort", "ports": [{}, {}]}, "2", "0"),
        ({"type": "LoadBalancer", "ports": [{}, {}]}, "2", "1"),
        (
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"nodePort": 1}, {}]},
            "1",
            "1",
        ),
    ],
)
def test_services_count_by_what_they_want(spec: Obj, node_ports: str, balancers: str) -> None:
    found = used(SERVICES, {"spec": spec})
    assert found["services.nodeports"] == node_ports
    assert found["services.loadbalancers"] == balancers
    assert found["services"] == found["count/services"] == "1"


def test_a_claim_counts_for_its_class_too() -> None:
    claims = by_kind("v1", "PersistentVolumeClaim")
    assert claims is not None
    asked = {"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}}
    assert used(claims, asked) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "1Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
    }


def test_other_kinds_count_by_their_number() -> None:
    assert used(DEPLOYMENTS, {}) == {"count/deployments.apps": "1"}
    assert used(CONFIGMAPS, {}) == {"count/configmaps": "1", "configmaps": "1"}


@pytest.mark.parametrize(
    ("spec", "obj", "counted"),
    [
        ({"scopes": ["BestEffort"]}, pod(), True),
        ({"scopes": ["NotBestEffort"]}, pod(), False),
        ({"scopes": ["NotBestEffort"]}, pod(container(requests={"cpu": "1"})), True),
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=1), True),
        ({"scopes": ["Terminating", "BestEffort"]}, pod(container(limits={"cpu": "1"})), False),
        ({"scopes": ["PriorityClass"]}, pod(priorityClassName="high"), True),
        ({"scopes": ["CrossNamespacePodAffinity"]}, pod(), False),
    ],
)
def test_scopes_say_which_pods_count(spec: Obj, obj: Obj, counted: bool) -> None:
    assert counts(quota({"pods": "1"}, **spec), PODS, obj) == counted


@pytest.mark.parametrize(
    ("operator", "values", "name", "counted"),
    [
        ("In", ["high"], "high", True),
        ("In", ["high"], "", False),
        ("NotIn", ["high"], "low", True),
        ("NotIn", ["high"], "", True),
        ("DoesNotExist", [], "", True),
        ("Exists", [], "", False),
    ],
)
def test_a_selector_chooses_classes(operator: str, values: list[str], name: str, counted: bool) -> None:
    term = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    limits = quota({"pods": "1"}, scopeSelector={"matchExpressions": [term]})
    assert counts(limits, PODS, pod(priorityClassName=name)) == counted


def test_what_is_too_much_is_said_with_all_numbers() -> None:
    limits = quota({"pods": "5", "requests.cpu": "1"}, {"pods": "1", "requests.cpu": "600m"})
    more = demand(limits, PODS, pod(container(requests={"cpu": "500m"})), {}, NOW)
    with pytest.raises(Exceeded) as refused:
        charged(limits, more)
    assert str(refused.value) == (
        "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1"
    )


def test_who_limits_cpu_has_to_be_told_it() -> None:
    limits = quota({"requests.cpu": "1", "limits.memory": "1Gi"})
    with pytest.raises(Exceeded) as refused:
        demand(limits, PODS, pod(container("b"), container("a", requests={"cpu": "1"})), {}, NOW)
    assert str(refused.value) == ("failed quota: q: must specify limits.memory for: a,b; requests.cpu for: b")


def test_a_quota_that_was_never_counted_allows_nothing() -> None:
    with pytest.raises(Exceeded, match="status unknown for quota: q, resources: pods"):
        demand(quota({"pods": "1"}, {}), PODS, pod(), {}, NOW)


def test_an_update_takes_what_it_adds() -> None:
    limits = quota({"services": "1", "services.nodeports": "2"}, {"services": "1", "services.nodeports": "1"})
    old = {"spec": {"type": "NodePort", "ports": [{}]}}
    new = {"spec": {"type": "NodePort", "ports": [{}, {}]}}
    assert demand(limits, SERVICES, new, old, NOW) == {"services.nodeports": Quantity.parse("1")}
    assert demand(limits, SERVICES, old, new, NOW) == {}


def test_most_updates_of_a_pod_are_none_of_a_quotas_business() -> None:
    assert not handles("UPDATE", PODS, "", pod(), pod())
    assert handles("UPDATE", PODS, "", pod(activeDeadlineSeconds=1), pod())
    assert handles("UPDATE", PODS, "resize", pod(), pod())
    assert not handles("UPDATE", CONFIGMAPS, "", {}, {})


def test_a_status_is_what_is_there() -> None:
    limits = quota({"pods": "5", "requests.cpu": "1000m", "configmaps": "2"})
    pods = [pod(container(requests={"cpu": "100m"})), pod(container(requests={"cpu": "1"}))]
    status = counted(limits, {CONFIGMAPS: 3, PODS: 2}, {PODS: pods}, NOW)
    assert status == {
        "hard": {"pods": "5", "requests.cpu": "1", "configmaps": "2"},
        "used": {"pods": "2", "requests.cpu": "1100m", "configmaps": "3"},
    }
