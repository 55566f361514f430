"""The lesson: the document's steps, ticked when the cluster shows them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.page import objects
from tests.unit.page.test_scene import entry
from tests.unit.page.traces import sent, way
from wellhead.page.lesson import Lesson
from wellhead.page.scene import Scene
from wellhead.page.store import Store
from wellhead.page.values import Client
from wellhead.paths.way import Disposition, SeenAs
from wellhead.tutorial.steps import document

Obj = dict[str, Any]


class World:
    """A cluster that a person changes, and the lesson beside it."""

    def __init__(self) -> None:
        self.scene = Scene(Store(is_cluster=True), Client(name="client", asks="outside"))
        self.lesson = Lesson()
        self.put(*(objects.node(number) for number in (1, 2, 3)))

    def put(self, *found: Obj) -> None:
        for each in found:
            self.scene.put(entry(each))
        self.lesson.changed(self.scene.changes())

    def remove(self, *found: Obj) -> None:
        for each in found:
            self.scene.remove(entry(each))
        self.lesson.changed(self.scene.changes())

    @property
    def ticked(self) -> list[str]:
        return [name for name, ticked in self.lesson.ticks().ticks.items() if ticked]


SERVER = objects.pod("source-ip-app-1", 1, 2, app="source-ip-app")
BUSYBOX = objects.pod("busybox", 2, 2)
CLUSTERIP = objects.service("clusterip", 1)
NODEPORT = objects.service("nodeport", 2, kind="NodePort")
NODEPORT_LOCAL = objects.service("nodeport", 2, kind="NodePort", policy="Local")
BALANCED = objects.service("loadbalancer", 3, kind="LoadBalancer", vip="203.0.113.1")
BALANCED_LOCAL = objects.service("loadbalancer", 3, kind="LoadBalancer", policy="Local", vip="203.0.113.1")
SLICE = objects.endpoint_slice("loadbalancer", [SERVER])


def test_its_steps_are_the_documents_in_its_order() -> None:
    told = [step.lesson for section in document(3, "iptables") for step in section.steps if step.lesson]
    assert Lesson().names == [each.name for each in told]
    assert len(set(Lesson().names)) == len(told)


def test_each_step_is_ticked_when_the_cluster_shows_it() -> None:
    world = World()
    assert world.ticked == []
    walked: list[tuple[str, Any]] = [
        ("deployment", lambda: world.put(SERVER)),
        ("clusterip", lambda: world.put(CLUSTERIP)),
        ("busybox", lambda: world.put(BUSYBOX)),
        ("clusterip-ask", lambda: world.lesson.sent(_inside())),
        ("nodeport", lambda: world.put(NODEPORT)),
        ("nodeport-ask", lambda: world.lesson.sent(_outside("nodeport", "NodePort", SeenAs.NODE))),
        ("nodeport-local", lambda: world.put(NODEPORT_LOCAL)),
        ("nodeport-local-ask", lambda: world.lesson.sent(_outside("nodeport", "NodePort", SeenAs.CLIENT))),
        ("loadbalancer", lambda: world.put(BALANCED)),
        (
            "loadbalancer-ask",
            lambda: world.lesson.sent(_outside("loadbalancer", "LoadBalancerIP", SeenAs.NODE)),
        ),
        ("loadbalancer-local", lambda: world.put(BALANCED_LOCAL)),
        ("health-checks", lambda: world.put(SLICE)),
        ("loadbalancer-local-ask", lambda: world.lesson.sent(_balanced())),
        ("delete-services", lambda: world.remove(CLUSTERIP, NODEPORT, BALANCED)),
        ("delete-deployment", lambda: world.remove(SERVER)),
    ]
    for number, (_, happens) in enumerate(walked):
        happens()
        assert world.ticked == [name for name, _ in walked[: number + 1]]
    assert world.ticked == world.lesson.names


def _inside() -> Any:
    return sent(
        way(
            client="pod/default/busybox",
            service="default/clusterip",
            frontend="ClusterIP",
            seen_as=SeenAs.CLIENT,
        )
    )


def _outside(name: str, frontend: str, seen_as: SeenAs) -> Any:
    return sent(way(service=f"default/{name}", frontend=frontend, seen_as=seen_as))


def _balanced() -> Any:
    return _outside("loadbalancer", "LoadBalancerIP", SeenAs.CLIENT)


def test_nothing_is_cleaned_up_where_nothing_was() -> None:
    world = World()
    world.put(objects.node(4))
    assert world.ticked == []


def test_it_begins_anew_with_the_next_server() -> None:
    world = World()
    world.put(SERVER, CLUSTERIP)
    world.remove(CLUSTERIP, SERVER)
    assert world.ticked == ["deployment", "clusterip", "delete-services", "delete-deployment"]
    world.put(SERVER)
    assert world.ticked == ["deployment"]


def test_what_was_shown_once_stays_ticked_while_the_lesson_goes_on() -> None:
    world = World()
    world.put(SERVER, NODEPORT_LOCAL)
    world.put(NODEPORT)
    assert "nodeport-local" in world.ticked


@pytest.mark.parametrize(
    "of",
    [
        way(service="shop/nodeport"),
        way(service="", frontend="NodeIP"),
        way(disposition=Disposition.DROPPED),
        way(client="pod/default/busybox"),
    ],
)
def test_other_requests_tick_nothing(of: Any) -> None:
    world = World()
    world.lesson.sent(sent(of))
    assert world.ticked == []


def test_addresses_are_filled_in_once_they_are_known() -> None:
    world = World()
    commands = {each.id: each.command for each in world.lesson.steps()}
    assert commands["clusterip-ask"] == "wget -qO - <cluster_ip>"
    assert commands["loadbalancer-ask"] == "curl <vip>"
    world.put(CLUSTERIP, BALANCED_LOCAL)
    commands = {each.id: each.command for each in world.lesson.steps()}
    assert commands["clusterip-ask"] == "wget -qO - 10.0.0.2"
    assert commands["loadbalancer-ask"] == "curl 203.0.113.1"
    assert commands["health-checks"] == "curl localhost:32003/healthz"


def test_a_step_is_pressed_by_its_command_or_by_requests() -> None:
    world = World()
    world.put(SERVER)
    press = {each.id: each.press for each in world.lesson.steps()}
    assert press["nodeport-local"] == (
        """kubectl -n default patch svc nodeport -p '{"spec":{"externalTrafficPolicy":"Local"}}'"""
    )
    assert press["nodeport-ask"] == "one request from client to svc/nodeport by node-2"
    assert press["nodeport-local-ask"] == (
        "one request from client to svc/nodeport by node-2; one request from client to svc/nodeport by node-1"
    )
    assert press["clusterip-ask"] == ""
    world.put(BUSYBOX)
    [request] = world.lesson.press("clusterip-ask").requests
    assert (request.client, request.target) == ("pod/default/busybox", "svc/clusterip")


def test_every_step_can_be_pressed_or_says_why_not() -> None:
    lesson = Lesson()
    for name in lesson.names:
        press = lesson.press(name)
        assert press.commands or press.requests or press.why


def test_the_client_pod_that_the_page_started_is_deleted_at_the_end() -> None:
    lesson = Lesson()
    assert "busybox" not in lesson.in_words(lesson.press("delete-deployment"))
    lesson.pressed("busybox")
    assert "delete pod busybox" in lesson.in_words(lesson.press("delete-deployment"))
    lesson.pressed("delete-deployment")
    assert "busybox" not in lesson.in_words(lesson.press("delete-deployment"))
