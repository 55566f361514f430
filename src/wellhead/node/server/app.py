"""Routes, TLS, and who may ask."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from wellhead.health import Health
from wellhead.health_server import routes
from wellhead.node.server import logs, port_forward, streams, usage
from wellhead.node.server.bearers import Bearers
from wellhead.node.server.requests import SERVICES, Services, services

_log = logging.getLogger(__name__)
PORT = 10250
_ADMIN_GROUP = "system:masters"
_API_SERVER = "kube-apiserver-kubelet-client"
_OPEN_PATHS = ("/healthz", "/livez", "/readyz")

BEARERS = web.AppKey("bearers", Bearers)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(shared: Services, health: Health, bearers: Bearers | None = None) -> web.Application:
    """The server's routes. TLS must have verified the clients' certificates."""
    app = web.Application(middlewares=[_let_go, _authorize])
    app[SERVICES] = shared
    if bearers is not None:
        app[BEARERS] = bearers
    app.add_routes(routes(health))
    app[usage.METER] = usage.meter(shared)
    app.router.add_get("/pods", _pods)
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
    """Whoever may use this server can run anything in any pod: only the API server and admins may.

    Others may measure, if the API server lets them.
    """
    if request.transport is not None and _is_without_certificate(request.transport):
        await request.app[BEARERS].admit(request)
    elif request.path not in _OPEN_PATHS:
        subject = _subject(request)
        if _ADMIN_GROUP not in subject.get("organizationName", ()) and _API_SERVER not in subject.get(
            "commonName", ()
        ):
            who = ", ".join(subject.get("commonName", ())) or "anonymous"
            raise web.HTTPForbidden(text=f"{who} may not use the node's server")
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
    pods = [state.pod for state in services(request).manager.states()]
    body = msgspec.json.encode({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
    return web.Response(body=body, content_type="application/json")
