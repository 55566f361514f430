"""The lesson: the document's steps beside the picture, each ticked when the cluster shows it. Pure.

What is typed, and what is to be seen, is `wellhead.tutorial.steps`'. A command that asks a server leaves
nothing in the cluster: its step is ticked when the page itself has sent such a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wellhead.page.entities import pod_id, service_id
from wellhead.page.levers import Command, shown
from wellhead.page.values import Change, Node, Pod, Send, Sent, Service, Step, Ticks
from wellhead.paths.way import Disposition, SeenAs
from wellhead.tutorial.expect import fill
from wellhead.tutorial.steps import document

_NAMESPACE = "default"
_APP = "source-ip-app"
_BUSYBOX = pod_id(_NAMESPACE, "busybox")
_SERVICES = {service_id(_NAMESPACE, name): name for name in ("clusterip", "nodeport", "loadbalancer")}
_BALANCED = service_id(_NAMESPACE, "loadbalancer")
_LOCAL = """{"spec":{"externalTrafficPolicy":"Local"}}"""
_KUBECTL = ("kubectl", "-n", _NAMESPACE)


@dataclass(frozen=True)
class Press:
    """What the page does for a step: commands, or requests."""

    commands: tuple[Command, ...] = ()
    requests: tuple[Send, ...] = ()
    why: str = ""
    """Why there is nothing that it could do now."""


class Lesson:
    """Follows the scene and the requests, and ticks. What was shown once stays ticked, until the lesson
    begins anew: when everything was deleted, and the server is there again.
    """

    def __init__(self, nodes: int = 0, proxy_mode: str = "") -> None:
        self._document = document(nodes, proxy_mode)
        self._told = [
            (section, step, step.lesson)
            for section in self._document
            for step in section.steps
            if step.lesson is not None
        ]
        self._busybox_is_ours = False  # a person's goes with the shell that it was started for
        self._ticked: set[str] = set()
        self._services: dict[str, Service] = {}
        self._server: dict[str, Pod] = {}
        self._clients: dict[str, Pod] = {}
        self._checks: dict[str, bool] = {}
        self._nodes: dict[str, Node] = {}

    @property
    def names(self) -> list[str]:
        return [lesson.name for _, _, lesson in self._told]

    # What happens

    def changed(self, change: Change) -> None:
        """Something in the scene is another one."""
        for each in change.put:
            match each:
                case Service() if each.id in _SERVICES:
                    self._services[_SERVICES[each.id]] = each
                case Pod() if each.namespace == _NAMESPACE:
                    kind = self._server if each.name.startswith(f"{_APP}-") else self._clients
                    kind[each.id] = each
                case Node():
                    self._nodes[each.name] = each
                    self._checks.pop(each.name, None)
                    if _BALANCED in each.checks:
                        self._checks[each.name] = each.checks[_BALANCED]
        for name in change.gone:
            self._services.pop(_SERVICES.get(name, ""), None)
            self._server.pop(name, None)
            self._clients.pop(name, None)
            if name.startswith("node/"):
                self._nodes.pop(name.removeprefix("node/"), None)
                self._checks.pop(name.removeprefix("node/"), None)
        self._look()

    def _look(self) -> None:
        shown = {name for name, shows in _SHOWN.items() if shows(self)}
        if "deployment" in shown and "delete-deployment" in self._ticked:
            self._ticked = set()  # once more, from the beginning
        self._ticked |= shown
        if self._ticked & {"clusterip", "nodeport", "loadbalancer"} and not self._services:
            self._ticked.add("delete-services")
        if "deployment" in self._ticked and not self._server:
            self._ticked.add("delete-deployment")

    def sent(self, sent: Sent) -> None:
        """A request was sent."""
        way = sent.trace.way
        outcome = way.outcomes[0]
        namespace, _, name = way.service.partition("/")
        if namespace != _NAMESPACE:
            return
        delivered = outcome.disposition is Disposition.DELIVERED
        seen = outcome.seen_as if delivered else None
        inside = way.client.startswith("pod/")
        match name, way.frontend:
            case "clusterip", "ClusterIP" if inside and seen is SeenAs.CLIENT:
                self._ticked.add("clusterip-ask")
            case "nodeport", "NodePort" if not inside:
                if seen is SeenAs.NODE:
                    self._ticked.add("nodeport-ask")
                elif seen is SeenAs.CLIENT:
                    self._ticked.add("nodeport-local-ask")
            case "loadbalancer", "LoadBalancerIP" if not inside:
                if seen is SeenAs.NODE:
                    self._ticked.add("loadbalancer-ask")
                elif seen is SeenAs.CLIENT:
                    self._ticked.add("loadbalancer-local-ask")

    # What is told

    def ticks(self) -> Ticks:
        return Ticks(ticks={name: name in self._ticked for name in self.names})

    def steps(self) -> list[Step]:
        """The steps, with what is known by now filled in."""
        facts = self._facts()
        return [
            Step(
                id=told.name,
                section=section.title,
                about=section.text,
                title=told.title,
                where=step.where,
                command=fill(step.command, facts),
                look=told.look,
                press=self.in_words(self.press(told.name)),
                note=step.note,
                ticked=told.name in self._ticked,
            )
            for section, step, told in self._told
        ]

    def _facts(self) -> dict[str, str]:
        """What steps fill in; what isn't known yet stays as it is written."""
        found = {each: f"<{each}>" for each in ("cluster_ip", "vip", "health_check_node_port")}
        if (inside := self._services.get("clusterip")) and inside.cluster_ips:
            found["cluster_ip"] = inside.cluster_ips[0]
        if balanced := self._services.get("loadbalancer"):
            if balanced.vips:
                found["vip"] = balanced.vips[0].address
            if balanced.health_check_node_port:
                found["health_check_node_port"] = str(balanced.health_check_node_port)
        return found

    def in_words(self, press: Press) -> str:
        """What it does, as commands or in words; nothing where there is nothing."""
        if press.commands:
            return shown(press.commands)
        return "; ".join(
            f"one request from {each.client} to {each.target}" + (f" by {each.via}" if each.via else "")
            for each in press.requests
        )

    # Pressing

    def pressed(self, name: str) -> None:
        """A step's commands were run."""
        if name in ("busybox", "delete-deployment"):
            self._busybox_is_ours = name == "busybox"

    def press(self, name: str) -> Press:
        """What is to be done for a step."""
        if name in _COMMANDS:
            more = (_DELETE_BUSYBOX,) if name == "delete-deployment" and self._busybox_is_ours else ()
            return Press(commands=(*_COMMANDS[name], *more))
        if name == "clusterip-ask":
            ready = sorted(each.id for each in self._clients.values() if each.ready and not each.host_network)
            client = _BUSYBOX if _BUSYBOX in ready else next(iter(ready), "")
            if not client:
                return Press(why="there is no pod in this namespace to ask from: start one")
            return Press(requests=(Send(client=client, target="svc/clusterip"),))
        if name in ("nodeport-ask", "nodeport-local-ask"):
            having = {each.node for each in self._server.values()}
            without = sorted(set(self._nodes) - having)[:1]
            ways = without if name == "nodeport-ask" and without else [*without, *sorted(having)[:1]]
            return Press(
                requests=tuple(Send(client="client", target="svc/nodeport", via=each) for each in ways),
                why="" if ways else "there are no nodes",
            )
        if name in ("loadbalancer-ask", "loadbalancer-local-ask"):
            return Press(requests=(Send(client="client", target="svc/loadbalancer"),))
        return Press(why="there is nothing to press: the picture shows it")


def _expose(name: str, *more: str) -> Command:
    return (
        *_KUBECTL, "expose", "deployment", _APP, f"--name={name}", "--port=80", "--target-port=8080", *more
    )  # fmt: skip


_DELETE_BUSYBOX = (*_KUBECTL, "delete", "pod", "busybox", "--ignore-not-found", "--now")
_COMMANDS: Mapping[str, tuple[Command, ...]] = {
    "deployment": ((*_KUBECTL, "create", "deployment", _APP, "--image=k8s.gcr.io/echoserver:1.4"),),
    "clusterip": (_expose("clusterip"),),
    "busybox": ((*_KUBECTL, "run", "busybox", "--image=busybox", "--restart=Never", "--", "sleep", "86400"),),
    "nodeport": (_expose("nodeport", "--type=NodePort"),),
    "nodeport-local": ((*_KUBECTL, "patch", "svc", "nodeport", "-p", _LOCAL),),
    "loadbalancer": (_expose("loadbalancer", "--type=LoadBalancer"),),
    "loadbalancer-local": ((*_KUBECTL, "patch", "svc", "loadbalancer", "-p", _LOCAL),),
    "delete-services": ((*_KUBECTL, "delete", "svc", "-l", f"app={_APP}"),),
    "delete-deployment": ((*_KUBECTL, "delete", "deployment", _APP),),
}
"""What the page runs where a person types: the document's commands, but for a shell in a pod."""


def _service_shows(name: str, shows: Callable[[Service], bool]) -> Callable[[Lesson], bool]:
    def check(lesson: Lesson) -> bool:
        found = lesson._services.get(name)
        return found is not None and shows(found)

    return check


_SHOWN: Mapping[str, Callable[[Lesson], bool]] = {
    "deployment": lambda lesson: any(each.ready for each in lesson._server.values()),
    "clusterip": _service_shows("clusterip", lambda each: bool(each.cluster_ips)),
    "busybox": lambda lesson: any(each.ready for each in lesson._clients.values()),
    "nodeport": _service_shows("nodeport", lambda each: any(port.node_port for port in each.ports)),
    "nodeport-local": _service_shows("nodeport", lambda each: each.external_traffic_policy == "Local"),
    "loadbalancer": _service_shows("loadbalancer", lambda each: bool(each.vips)),
    "loadbalancer-local": _service_shows(
        "loadbalancer",
        lambda each: each.external_traffic_policy == "Local" and bool(each.health_check_node_port),
    ),
    "health-checks": lambda lesson: any(lesson._checks.values()),
}
"""What is to be seen in the cluster."""
