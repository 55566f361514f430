"""Levers: which commands are shown, and run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.page import objects
from tests.unit.page.test_scene import entry, scene_of
from wellhead.page.errors import CannotAsk
from wellhead.page.levers import Where, commands, levers, shown
from wellhead.page.scene import Scene
from wellhead.page.values import Pull
from wellhead.paths.world import World

DEPLOYMENT: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"template": {"metadata": {"labels": {"app": "web", "tier": "front"}}}},
}


def where(*more: dict[str, Any], kind: str = "LoadBalancer", cluster: str = "mine", owner: str = "") -> Where:
    pod = objects.pod("web-0", 1, 2, app="web")
    if owner:
        pod["metadata"]["ownerReferences"] = [{"kind": owner, "name": "web-abc"}]
    found = [
        objects.node(1),
        pod,
        objects.service("web", 1, kind=kind, vip="203.0.113.1"),
        objects.endpoint_slice("web", [pod]),
        *more,
    ]
    scene: Scene = scene_of(*found)
    return Where(scene.entities, lambda: World([entry(each) for each in found]), cluster)


def command(lever: str, value: str, at: Where | None = None, of: str = "service/default/web") -> str:
    return shown(commands(Pull(lever=lever, object=of, value=value), at or where()))


def test_a_policy_is_patched() -> None:
    assert command("external-traffic-policy", "Local") == (
        """kubectl -n default patch service web -p '{"spec":{"externalTrafficPolicy":"Local"}}'"""
    )
    assert command("internal-traffic-policy", "Local") == (
        """kubectl -n default patch service web -p '{"spec":{"internalTrafficPolicy":"Local"}}'"""
    )


def test_an_annotation_is_written() -> None:
    assert command("preserve-client-ip", "true") == (
        "kubectl -n default annotate service web wellhead.dev/preserve-client-ip=true --overwrite"
    )


def test_a_class_that_cannot_be_changed_is_given_with_the_type_anew() -> None:
    assert command("load-balancer-class", "wellhead.dev/proxy") == (
        """kubectl -n default patch service web -p '{"spec":{"type":"NodePort","loadBalancerClass":null}}'"""
        """ && kubectl -n default patch service web -p """
        """'{"spec":{"type":"LoadBalancer","loadBalancerClass":"wellhead.dev/proxy"}}'"""
    )
    assert command("load-balancer-class", "default", where(kind="NodePort")) == (
        """kubectl -n default patch service web -p '{"spec":{"type":"LoadBalancer"}}'"""
    )


@pytest.mark.parametrize(
    ("at", "what"),
    [
        (where(DEPLOYMENT), "deployment web"),
        (where(DEPLOYMENT, owner="ReplicaSet"), "deployment web"),
        (where(owner="ReplicaSet"), "replicaset web-abc"),
        (where(owner="StatefulSet"), "statefulset web-abc"),
    ],
)
def test_replicas_are_those_of_whatever_makes_the_pods(at: Where, what: str) -> None:
    assert command("replicas", "3", at) == f"kubectl -n default scale {what} --replicas=3"


def test_a_node_is_drained_and_comes_back() -> None:
    assert command("drain", "drain", of="node/node-1").startswith("kubectl drain node-1 --ignore-daemonsets")
    assert command("drain", "uncordon", of="node/node-1") == "kubectl uncordon node-1"


def test_a_node_of_this_machine_is_killed_and_comes_back() -> None:
    start = "wellhead exec --name mine node-1 -- sh -c"
    assert command("kill", "kill", of="node/node-1") == f"{start} 'kill -STOP -1'"
    assert command("kill", "restart", of="node/node-1") == f"{start} 'kill -KILL -1'"


def test_nobody_elses_nodes_are_killed() -> None:
    assert "kill" not in [each.id for each in levers("")]
    with pytest.raises(CannotAsk, match="there is no lever 'kill'"):
        command("kill", "kill", where(cluster=""), "node/node-1")


@pytest.mark.parametrize(
    ("lever", "value", "of", "why"),
    [
        ("nothing", "", "service/default/web", "there is no lever"),
        ("external-traffic-policy", "Anywhere", "service/default/web", "one of Cluster, Local"),
        ("external-traffic-policy", "Local", "service/default/api", "there is no service"),
        ("external-traffic-policy", "Local", "node/node-1", "there is no service"),
        ("drain", "drain", "service/default/web", "there is no node"),
        ("replicas", "-1", "service/default/web", "a number from 0 to 100"),
        ("replicas", "٣", "service/default/web", "a number from 0 to 100"),
        ("replicas", "101", "service/default/web", "a number from 0 to 100"),
        ("replicas", "3", "service/default/web", "can't be told"),
    ],
)
def test_what_cannot_be_pulled_is_refused(lever: str, value: str, of: str, why: str) -> None:
    with pytest.raises(CannotAsk, match=why):
        command(lever, value, of=of)


def test_a_policy_that_the_type_has_no_use_for_is_refused() -> None:
    with pytest.raises(CannotAsk, match="reached from outside"):
        command("external-traffic-policy", "Local", where(kind="ClusterIP"))


@pytest.mark.parametrize("name", ["--kubeconfig=x", "web;reboot", "$(id)", "../x", "Web", "we b"])
def test_a_name_that_no_api_server_gives_is_in_no_command(name: str) -> None:
    scene = scene_of(objects.service(name, 1, kind="NodePort"))
    at = Where(scene.entities, lambda: World([]))
    with pytest.raises(CannotAsk, match="no name"):
        command("external-traffic-policy", "Local", at, f"service/default/{name}")


def test_each_says_what_is_typed() -> None:
    for each in levers("mine"):
        assert each.command.startswith(("kubectl ", "wellhead "))
        assert each.of in ("service", "node")
