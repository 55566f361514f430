"""The scene: what each object is in it, and that it follows changes as if it were made anew."""

from __future__ import annotations

import copy
import gc
from types import FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.page import objects
from wellhead.page.matrix import matrix
from wellhead.page.scene import Scene
from wellhead.page.store import Store
from wellhead.page.values import Balancer, Change, Client, Entity, Node, Pod, Service
from wellhead.paths.world import Decoded, Packed, World

Obj = dict[str, Any]
CLIENT = Client(name="outside", asks="outside")


def scene_of(*found: Obj) -> Scene:
    scene = Scene(Store(is_cluster=True), CLIENT)
    for each in found:
        scene.put(entry(each))
    scene.changes()
    return scene


def entry(obj: Obj) -> Decoded | Packed:
    return (Packed if obj["kind"] == "Pod" else Decoded)(copy.deepcopy(obj))


def web(policy: str = "Cluster", kind: str = "LoadBalancer") -> list[Obj]:
    """Three nodes, and a Service with a pod on the first."""
    pod = objects.pod("web-0", 1, 2, app="web")
    return [
        *(objects.node(number) for number in (1, 2, 3)),
        pod,
        objects.service("web", 1, kind=kind, policy=policy, vip="203.0.113.1"),
        objects.endpoint_slice("web", [pod]),
    ]


def test_a_service_has_its_addresses_policies_and_endpoints() -> None:
    found = scene_of(*web("Local")).entities["service/default/web"]
    assert isinstance(found, Service)
    assert found.cluster_ips == ("10.0.0.2",)
    assert [(each.port, each.node_port, each.target_port) for each in found.ports] == [(80, 30001, "8080")]
    assert [each.address for each in found.vips] == ["203.0.113.1"]
    assert found.external_traffic_policy == "Local"
    [endpoint] = found.endpoints
    assert (endpoint.address, endpoint.port, endpoint.node) == ("10.244.1.2", 8080, "node-1")
    assert endpoint.pod == "pod/default/web-0"
    assert found.balancer == "balancer/wellhead forwarder"


def test_a_pod_says_which_services_it_is_an_endpoint_of() -> None:
    found = scene_of(*web()).entities["pod/default/web-0"]
    assert isinstance(found, Pod)
    assert found.services == ("service/default/web",)
    assert (found.node, found.ready, found.phase) == ("node-1", True, "Running")


def test_a_node_says_whose_health_checks_it_passes() -> None:
    scene = scene_of(*web("Local"))
    checks = {each.name: each.checks for each in scene.entities.values() if isinstance(each, Node)}
    assert checks == {
        "node-1": {"service/default/web": True},
        "node-2": {"service/default/web": False},
        "node-3": {"service/default/web": False},
    }


def test_a_balancer_has_the_addresses_of_its_class() -> None:
    scene = scene_of(
        *web(),
        objects.service("api", 2, kind="LoadBalancer", vip="203.0.113.2", class_="wellhead.dev/proxy"),
    )
    found = {each.class_: each for each in scene.entities.values() if isinstance(each, Balancer)}
    assert found[""].how == "forwarding"
    assert [each.address for each in found[""].vips] == ["203.0.113.1"]
    assert found["wellhead.dev/proxy"].how == "terminating"
    assert [each.service for each in found["wellhead.dev/proxy"].vips] == ["service/default/api"]


def test_an_endpoint_that_leaves_changes_its_service_its_pod_and_the_check_of_its_node() -> None:
    scene = scene_of(*web("Local"))
    scene.put(entry(objects.endpoint_slice("web", [])))
    changed = scene.changes()
    assert {each.id for each in changed.put} == {"service/default/web", "pod/default/web-0", "node/node-1"}
    assert not changed.gone


def test_what_is_deleted_is_gone_with_what_only_it_had() -> None:
    found = web()
    scene = scene_of(*found)
    scene.remove(entry(found[4]))
    changed = scene.changes()
    assert set(changed.gone) == {"service/default/web", "balancer/wellhead forwarder"}
    assert [each.id for each in changed.put] == ["pod/default/web-0"]


def test_a_pod_that_has_ended_is_no_client() -> None:
    found = web()
    scene = scene_of(*found)
    found[3]["status"]["phase"] = "Succeeded"
    scene.put(entry(found[3]))
    assert scene.changes().gone == ("pod/default/web-0",)


def test_what_is_as_it_was_is_not_told_again() -> None:
    found = web()
    scene = scene_of(*found)
    for each in found:
        scene.put(entry(each))
    changed = scene.changes()
    assert not changed.put
    assert not changed.gone


@pytest.mark.parametrize(
    "altering",
    [
        {"kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "default"}, "spec": {}},
        {"kind": "ConfigMap", "metadata": {"name": "kube-proxy", "namespace": "kube-system"}, "data": {}},
        {"kind": "DaemonSet", "metadata": {"name": "flannel", "namespace": "x"}, "spec": {"template": {}}},
        objects.node(1)
        | {"metadata": {"name": "node-1", "annotations": {"wellhead.dev/symmetric-return": "{}"}}},
    ],
)
def test_what_is_no_entity_may_alter_answers(altering: Obj) -> None:
    scene = scene_of(objects.node(1))
    scene.put(entry(altering))
    assert scene.changes() == Change()
    assert scene.altered
    scene.put(entry(altering))
    scene.changes()
    assert not scene.altered
    scene.remove(entry(altering))
    scene.changes()
    assert scene.altered


def test_a_heartbeat_alters_nothing() -> None:
    scene = scene_of(objects.node(1), objects.pod("web-0", 1, 2))
    node, pod = objects.node(1), objects.pod("web-0", 1, 2)
    node["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-11-29T03:00:00Z"
    node["metadata"]["resourceVersion"] = "7"
    pod["metadata"]["resourceVersion"] = "8"
    for each in (node, pod):
        scene.put(entry(each))
    assert scene.changes() == Change()
    assert not scene.altered


def test_a_node_that_is_cordoned_or_excluded_says_so() -> None:
    node = objects.node(1)
    node["spec"]["unschedulable"] = True
    node["metadata"]["labels"]["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
    found = scene_of(node).entities["node/node-1"]
    assert isinstance(found, Node)
    assert found.unschedulable
    assert found.excluded


def test_manifests_without_slices_have_the_endpoints_that_controllers_would_make() -> None:
    pod = objects.pod("web-0", 1, 2, app="web")
    scene = scene_of(objects.node(1), objects.service("web", 1))
    scene.put(entry(pod))
    assert {each.id for each in scene.changes().put} == {"pod/default/web-0", "service/default/web"}
    found = scene.entities["service/default/web"]
    assert isinstance(found, Service)
    assert [(each.address, each.pod) for each in found.endpoints] == [("10.244.1.2", "pod/default/web-0")]


@pytest.mark.parametrize("broken", [None, [], "x", 3, {"spec": []}, {"spec": {"ports": "x"}}])
def test_objects_that_are_not_as_they_should_be_are_shown_as_far_as_they_go(broken: Any) -> None:
    base = {"kind": "Service", "metadata": {"name": "odd", "namespace": "default"}}
    scene = scene_of({**base, **(broken if isinstance(broken, dict) else {"spec": broken})})
    assert "service/default/odd" in scene.entities


# Following is the same as making it anew

_NAMES = ("web", "api", "db")
_PODS = [(f"{name}-{number}", name, number) for name in _NAMES for number in (1, 2, 3)]
_PODS += [("web-1-next", "web", 1)]  # with the address of another one

pods = st.builds(
    lambda which, ready, phase: _pod(which, ready, phase),
    st.sampled_from(_PODS),
    st.booleans(),
    st.sampled_from(["Running", "Running", "Succeeded"]),
)
nodes = st.builds(
    lambda number, ready: objects.node(number, ready=ready), st.sampled_from([1, 2, 3]), st.booleans()
)
services = st.builds(
    lambda name, kind, policy, class_: objects.service(
        name,
        _NAMES.index(name),
        kind=kind,
        policy=policy,
        vip="203.0.113.9" if kind == "LoadBalancer" else "",
        class_=class_ if kind == "LoadBalancer" else "",
    ),
    st.sampled_from(_NAMES),
    st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
    st.sampled_from(["Cluster", "Local"]),
    st.sampled_from(["", "wellhead.dev/proxy", "example.com/other"]),
)
slices = st.builds(
    lambda name, of, named: objects.endpoint_slice(name, of, named=named),
    st.sampled_from(_NAMES),
    st.lists(pods, max_size=3, unique_by=lambda each: each["status"]["podIP"]),
    st.booleans(),
)
daemons = st.just(
    {
        "kind": "DaemonSet",
        "metadata": {"name": "speaker", "namespace": "metallb-system"},
        "spec": {"template": {"spec": {"containers": [{"image": "quay.io/metallb/speaker:v0.14"}]}}},
    }
)
changes = st.tuples(st.booleans(), st.one_of(pods, nodes, services, slices, daemons))


def _pod(which: tuple[str, str, int], ready: bool, phase: str) -> Obj:
    name, app, number = which
    found = objects.pod(name, number, 2 + _NAMES.index(app), app=app, ready=ready)
    found["status"]["phase"] = phase
    return found


@given(st.lists(st.lists(changes, min_size=1, max_size=4), max_size=8))
def test_following_changes_comes_to_the_same_as_starting_anew(batches: list[list[tuple[bool, Obj]]]) -> None:
    scene = Scene(Store(is_cluster=True), CLIENT)
    told: dict[str, Entity] = {CLIENT.id: CLIENT}
    there: dict[tuple[str, str], Obj] = {}
    for batch in batches:
        for stays, obj in batch:
            name = obj["kind"], obj["metadata"]["name"]
            if stays:
                scene.put(entry(obj))
                there[name] = obj
            else:
                scene.remove(entry(obj))
                there.pop(name, None)
        change = scene.changes()
        told |= {each.id: each for each in change.put}
        for each in change.gone:
            del told[each]
        assert told == scene.entities
    assert told == scene_of(*there.values()).entities


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=examples(40))
@given(which=st.integers(0, 5), path=st.lists(st.integers(0, 9), max_size=6), value=_JSON)
def test_objects_with_anything_anywhere_are_shown_as_far_as_they_go(
    which: int, path: list[int], value: Any
) -> None:
    found = copy.deepcopy(web("Local"))
    _replace(found[which], path, value)
    scene = scene_of(*found)
    assert "node/node-2" in scene.entities or which == 1
    matrix(World([entry(each) for each in found]))
    scene.remove(entry(found[which]))
    scene.changes()


def _replace(obj: Any, path: list[int], value: Any) -> None:
    """Put a value in the place of what is at the end of a path, which skips what identifies the object."""
    for depth, number in enumerate(path or [0]):
        names: list[Any] = list(obj) if isinstance(obj, dict) else list(range(len(obj)))
        names = [
            each for each in names if each not in ("kind", "name", "namespace", "apiVersion", "metadata")
        ]
        if not names:
            return
        name = names[number % len(names)]
        if depth >= len(path) - 1 or not isinstance(obj[name], dict | list) or not obj[name]:
            obj[name] = value
            return
        obj = obj[name]


def test_a_scene_over_which_a_day_has_gone_is_as_small_as_a_new_one() -> None:
    scene = scene_of(objects.node(1), objects.node(2))
    small = _reachable(scene)
    for number in range(200):
        pod = objects.pod(f"web-{number}", 1 + number % 2, 2 + number % 200, app="web")
        batch = [
            pod,
            objects.service(f"web-{number}", number, kind="LoadBalancer", policy="Local", vip="203.0.113.1"),
            objects.endpoint_slice(f"web-{number}", [pod]),
        ]
        for each in batch:
            scene.put(entry(each))
        scene.changes()
        for each in batch:
            scene.remove(entry(each))
        scene.changes()
    assert _reachable(scene) <= small + 50


def _reachable(root: object) -> int:
    """How many objects somebody holds, but for code."""
    seen: dict[int, object] = {}
    waiting: list[object] = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen[id(each)] = each
        waiting += gc.get_referents(each)
    return len(seen)


def test_a_change_costs_what_it_touches_however_large_the_cluster() -> None:
    scene = scene_of(*objects.large(nodes=5, services=30, each=4))
    scene.put(entry(objects.pod("web-3-0", 1 + 21 % 5, 200, app="web-3")))
    assert [each.id for each in scene.changes().put] == ["pod/default/web-3-0"]  # its slices come later
