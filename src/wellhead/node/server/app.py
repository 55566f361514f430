"""Routes, TLS, and who may ask."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from wellhead.api.meta import Obj
from wellhead.health import Health
from wellhead.health_server import routes
from wellhead.node.pods import spec
from wellhead.node.server import logs, metrics, port_forward, streams, usage
from wellhead.node.server.bearers import Bearers
from wellhead.node.server.requests import SERVICES, Services, services

_log = logging.getLogger(__name__)
_ADMIN_GROUP = "system:masters"
_API_SERVER = "kube-apiserver-kubelet-client"
_OPEN_PATHS = ("/healthz", "/livez", "/readyz")

BEARERS = web.AppKey("bearers", Bearers)
_CONFIGURATION = web.AppKey("configuration", dict[str, Any])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    shared: Services,
    health: Health,
    bearers: Bearers | None = None,
    *,
    registry: CollectorRegistry | None = None,
    configuration: Obj | None = None,
) -> web.Application:
    """The server's routes. TLS must have verified the clients' certificates.

    `registry` has the agent's own metrics, `configuration` is what /configz tells.
    """
    app = web.Application(middlewares=[_let_go, _authorize])
    app[SERVICES] = shared
    app.cleanup_ctx.append(streams.owner_of_commands)
    if bearers is not None:
        app[BEARERS] = bearers
    app.add_routes(routes(health))
    app[usage.METER] = usage.meter(shared)
    app[metrics.KUBELET] = registry or CollectorRegistry()
    app[_CONFIGURATION] = configuration or {}
    app.router.add_get("/pods", _pods)
    app.router.add_get("/runningpods/", _running_pods)
    app.router.add_get("/configz", _configz)
    app.router.add_get("/logs/{path:.*}", _no_logs)
    app.router.add_get("/metrics", metrics.kubelet)
    app.router.add_get("/metrics/probes", metrics.probes)
    app.router.add_get("/metrics/cadvisor", metrics.containers)
    app.router.add_get("/stats/summary", usage.summary)
    app.router.add_get("/metrics/resource", usage.resource_metrics)
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs.container_logs)
    for path, handler in (
        ("/exec/{namespace}/{pod}/{container}", streams.exec_command),
        ("/attach/{namespace}/{pod}/{container}", streams.attach),
        ("/portForward/{namespace}/{pod}", port_forward.port_forward),
    ):
        app.router.add_get(path, handler)
        app.router.add_post(path, handler)  # as clients ask for SPDY
    return app


def tls(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """Our certificate; a client's must be one of `client_ca`'s, and one without has a token to show.

    Raises OSError, SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@web.middleware
async def _let_go(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that leaves while it is being answered is no error: aiohttp would log a traceback of it."""
    try:
        return await handler(request)
    except ConnectionError as error:
        _log.debug("%s: the client has left: %s", request.path, error)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # that nobody receives


@web.middleware
async def _authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever may use this server can run anything in any pod: the API server and admins may.

    Others may what the API server lets them, by certificate or token (`bearers`).
    """
    if request.transport is not None and _is_without_certificate(request.transport):
        await request.app[BEARERS].admit(request)
    elif request.path not in _OPEN_PATHS:
        subject = _subject(request)
        names, groups = subject.get("commonName", []), subject.get("organizationName", [])
        if _ADMIN_GROUP not in groups and _API_SERVER not in names:
            if not names or BEARERS not in request.app:
                who = ", ".join(names) or "anonymous"
                raise web.HTTPForbidden(text=f"{who} may not use the node's server")
            await request.app[BEARERS].admit_user(request, names[-1], groups)
    return await handler(request)


def _is_without_certificate(transport: asyncio.BaseTransport) -> bool:
    """Whether the connection is a TLS one on which the client has shown none."""
    encrypted = transport.get_extra_info("ssl_object") is not None
    return encrypted and not transport.get_extra_info("peercert")


def _subject(request: web.Request) -> dict[str, list[str]]:
    certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
    found: dict[str, list[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for name, value in part:
            found.setdefault(name, []).append(value)
    return found


async def _pods(request: web.Request) -> web.Response:
    return _listed(state.pod for state in services(request).manager.states())


async def _running_pods(request: web.Request) -> web.Response:
    """What runs, as the runtime knows it: names and containers, without what the API says of them."""
    found = []
    for state in services(request).manager.states():
        running = {
            name for name, each in state.record.containers.items() if each.current and each.current.running
        }
        containers = [
            {"name": each["name"], "image": each["image"], "resources": {}}
            for each in spec.every_container(state.pod)
            if each["name"] in running
        ]
        if containers:
            metadata = {key: state.pod["metadata"][key] for key in ("name", "namespace", "uid")}
            found.append({"metadata": metadata, "spec": {"containers": containers}, "status": {}})
    return _listed(found)


def _listed(pods: Iterable[Obj]) -> web.Response:
    body = msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods)})
    return web.Response(body=body, content_type="application/json")


async def _configz(request: web.Request) -> web.Response:
    body = msgspec.json.encode({"kubeletconfig": request.app[_CONFIGURATION]})
    return web.Response(body=body, content_type="application/json")


async def _no_logs(request: web.Request) -> web.Response:
    text = "logs endpoint is disabled: `wellhead logs COMPONENT` reads a component's log"
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text}
    body = msgspec.json.encode({**status, "reason": "MethodNotAllowed", "code": 405})
    return web.Response(body=body, status=405, content_type="application/json")
