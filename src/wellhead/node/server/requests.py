"""What requests to the node's server name: a pod, one of its containers, one of that one's runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from wellhead.linux.inotify import Inotify
from wellhead.node.pods import spec
from wellhead.node.pods.context import Context
from wellhead.node.pods.manager import PodManager
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.state import PodState


@dataclass(frozen=True)
class Services:
    """What the handlers need."""

    context: Context
    manager: PodManager
    inotify: Inotify


SERVICES = web.AppKey("services", Services)


def services(request: web.Request) -> Services:
    return request.app[SERVICES]


@dataclass(frozen=True)
class Target:
    """A container, and the run of it that is meant."""

    state: PodState
    container: dict[str, object]
    name: str
    attempt: Attempt

    @property
    def bundle(self) -> Path:
        return self.state.bundle(self.name, self.attempt.number)

    @property
    def log(self) -> Path:
        return self.state.log(self.name, self.attempt.number)


def pod(request: web.Request) -> PodState:
    """The pod of the path. Raises HTTPNotFound."""
    namespace, name = request.match_info["namespace"], request.match_info["pod"]
    state = services(request).manager.find(namespace, name)
    if state is None:
        raise web.HTTPNotFound(text=f'pod "{name}" in namespace "{namespace}" is not on this node')
    return state


def target(request: web.Request, *, previous: bool = False) -> Target:
    """The container of the path. Raises HTTPNotFound, HTTPBadRequest as a kubelet words them."""
    state, name = pod(request), request.match_info["container"]
    container = next((each for each in spec.every_container(state.pod) if each["name"] == name), None)
    pod_name = state.pod["metadata"]["name"]
    if container is None:
        raise web.HTTPNotFound(text=f"container {name} is not valid for pod {pod_name}")
    record = state.record.of(name)
    attempt = record.current
    if previous:
        attempt = record.last if attempt is None or not _awaits_restart(state, name, attempt) else attempt
        if attempt is None:
            raise web.HTTPBadRequest(
                text=f'previous terminated container "{name}" in pod "{pod_name}" not found'
            )
    elif attempt is None:
        waiting = state.view.waiting.get(name)
        why = f": {waiting.reason}" if waiting else ": ContainerCreating"
        raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod_name}" is waiting to start{why}')
    return Target(state, container, name, attempt)


def _awaits_restart(state: PodState, name: str, attempt: Attempt) -> bool:
    """Whether the run is over and the next one not begun: then it is the previous one already."""
    return bool(attempt.finished_at) and name in state.view.waiting


def running(request: web.Request) -> Target:
    """The container of the path, which runs. Raises HTTPNotFound, HTTPBadRequest."""
    found = target(request)
    if not found.attempt.running:
        raise web.HTTPBadRequest(
            text=f"container not found ({found.name!r}): it does not run".replace("'", '"')
        )
    return found


def needs_upgrade(request: web.Request) -> None:
    """Raises HTTPUpgradeRequired unless the client speaks WebSocket or SPDY.

    To be asked last before anything is done: whoever asks without learns what else is wrong.
    """
    if request.headers.get("Upgrade", "").lower() not in ("websocket", "spdy/3.1"):
        headers = {"Upgrade": "websocket, SPDY/3.1"}
        raise web.HTTPUpgradeRequired(text="Upgrade request required", headers=headers)
