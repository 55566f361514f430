"""What a pod asks for in vain, and what its user is told of it."""

from __future__ import annotations

from typing import Any

from tests.unit.node import pods
from wellhead.api.definitions import definitions
from wellhead.api.resources import PODS
from wellhead.node.pods import fields
from wellhead.node.pods.unsupported import of_onlooker, without_effect

AVAILABLE = frozenset({"CAP_MKNOD", "CAP_NET_ADMIN"})


def _said(container: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    return without_effect(pods.pod(pods.container("main", **(container or {})), **spec), AVAILABLE)


def test_an_ordinary_pod_gets_what_it_asks_for() -> None:
    assert _said() == []
    requests = {"resources": {"requests": {"cpu": "1"}}}
    context = {
        "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        "seccompProfile": {"type": "Unconfined"},
    }
    assert _said({**requests, "securityContext": context}) == []


def test_limits_are_not_enforced() -> None:
    limits = {"resources": {"limits": {"memory": "1Gi", "cpu": "1", "ephemeral-storage": "1Gi"}}}
    assert _said(limits) == [
        'container "main": limits of cpu, memory are not enforced: this machine has no cgroups for memory '
        "and CPU that the agent may use"
    ]


def test_each_thing_is_named_with_its_place_and_the_reason() -> None:
    context = {"seLinuxOptions": {"level": "s0"}}
    own = {**context, "capabilities": {"add": ["MKNOD", "SYS_TIME", "NET_ADMIN"]}}
    volumes = [
        {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "b", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
    ]
    rules = [{"action": "RestartTheWorld"}, {"action": "RestartAllContainers"}, {"action": "Restart"}]
    container = {"securityContext": own, "restartPolicyRules": rules}
    said = _said(container, securityContext=context, volumes=volumes)
    main = 'container "main": '
    assert sorted(said) == [
        f"{main}CAP_MKNOD is not given: only privileged containers have it here, since device access is not "
        "filtered",
        f"{main}CAP_SYS_TIME is not given: the node's agent doesn't have it itself",
        f"{main}restartPolicyRules with the action RestartTheWorld have no effect: this agent doesn't know "
        "it",
        f"{main}securityContext.seLinuxOptions has no effect: there are no SELinux labels",
        "spec.securityContext.seLinuxOptions has no effect: there are no SELinux labels",
    ]


def test_with_users_of_its_own_a_pod_gets_what_the_agent_lacks_but_devices() -> None:
    own = {"capabilities": {"add": ["MKNOD", "SYS_TIME"]}, "procMount": "Unmasked"}
    [said] = _said({"securityContext": own}, hostUsers=False)
    assert said.startswith('container "main": CAP_MKNOD is not given')


def test_a_field_that_is_newer_than_the_agent_is_named() -> None:
    probe = {"httpGet": {"port": 1, "newest": True}, "periodSeconds": 1}
    said = _said({"readinessProbe": probe, "newer": "Always"}, new=[1])
    assert [each.partition(" has")[0] for each in said] == [
        "spec.new",
        'container "main": readinessProbe.httpGet.newest',
        'container "main": newer',
    ]
    assert said[0].endswith("has no effect: this agent doesn't know it")
    assert _said(new=[], newer=False, newest=None) == []


def test_who_comes_later_to_look_on_is_told_as_well() -> None:
    container = pods.container("look", targetContainerName="main", volumeDevices=[{"name": "x"}])
    assert of_onlooker(container, AVAILABLE) == [
        'container "look": volumeDevices has no effect: there are no block devices'
    ]


# Of these, others make something: the scheduler; and containers are looked at one by one.
OTHERS = {
    "affinity",
    "containers",
    "ephemeralContainers",
    "initContainers",
    "tolerations",
    "topologySpreadConstraints",
}
WHOLE = {("Volume", "ephemeral")}  # a claim is made of its template


def test_every_field_of_the_schema_is_served_or_has_its_consequence() -> None:
    known = definitions(PODS.gvk)
    for name in {*fields.SERVED, *fields.NO_EFFECT, *fields.REFUSED}:
        schema = known.fields(f"io.k8s.api.core.v1.{name}")
        assert schema, f"there is no type {name}"
        served, said = fields.SERVED.get(name, {}), fields.NO_EFFECT.get(name, {})
        refused = fields.REFUSED.get(name, frozenset())
        assert not served.keys() & said.keys()
        left = schema.keys() - served.keys() - said.keys() - refused
        assert left == set() or "*" in refused, f"{name}: {sorted(left)}"
        assert (served.keys() | said.keys() | refused) - {"*"} <= schema.keys(), f"{name} has no such field"
        for field, child in served.items():
            is_told_apart = name == "PodSpec" and field in OTHERS
            if not child and schema[field].type.startswith("io.k8s.api.core.v1.") and not is_told_apart:
                assert (name, field) in WHOLE, f"what has {name}.{field} is not looked at"
            if child:
                assert schema[field].type == f"io.k8s.api.core.v1.{child}"
                assert child in fields.SERVED


def test_host_ports_of_addresses_that_are_not_the_nodes() -> None:
    def said(*host_ips: str, **spec: Any) -> list[str]:
        addresses = ("127.0.0.1", "0.0.0.0", "10.0.0.1", "10.0.0.2", "::1", "fd00::1", "")
        ports: list[Any] = [{"containerPort": 80, "hostPort": 80, "hostIP": each} for each in addresses]
        made = pods.pod(pods.container("main", ports=[*ports, {"containerPort": 1}]), **spec)
        return [each.partition("hostIP ")[2] for each in without_effect(made, AVAILABLE, host_ips=host_ips)]

    strange = "10.0.0.2: nothing arrives unless the node is given that address; it has 10.0.0.1"
    other = "nothing arrives, since pods have no address of that family here"
    assert said("10.0.0.1", "fd00::1") == [f"{strange}, fd00::1"]
    assert said("10.0.0.1") == [strange, f"::1: {other}", f"fd00::1: {other}"]
    assert said("10.0.0.1", hostNetwork=True) == []
