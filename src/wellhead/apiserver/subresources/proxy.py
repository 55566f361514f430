"""pods/proxy, services/proxy, nodes/proxy: an HTTP request handed on to what runs behind the object.

The name may carry a scheme and a port: `https:web:8443` (upstream's SplitSchemeNamePort).
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from wellhead.api.errors import BadRequest, ServiceUnavailable
from wellhead.api.kinds.targets import validate_endpoint_ip
from wellhead.api.meta import Obj
from wellhead.api.numbers import parse_uint64
from wellhead.api.resources import NODES, PODS
from wellhead.apiserver.call import Call
from wellhead.apiserver.impersonation import PREFIX as IMPERSONATION
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.service_endpoints import endpoint
from wellhead.apiserver.subresources.node_connection import Unreachable, agent_url, request
from wellhead.apiserver.subresources.relay import pass_on
from wellhead.text import printable, quoted

# RFC 9110, 7.6.1: these belong to one connection.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "authorization",
    }
)


@dataclass(frozen=True, slots=True)
class _Name:
    """What a proxied name says. `port` may be a name or a number, and '' if none is given."""

    scheme: str
    name: str
    port: str


async def proxy(call: Call, registry: Registry, session: aiohttp.ClientSession) -> web.StreamResponse:
    """Raises NotFound, BadRequest, ServiceUnavailable; ConnectionError once the answer has begun."""
    wanted = _split(call.info.name)
    base, verified = _location(call, registry, wanted)
    url = URL(f"{base}{call.info.rest or '/'}", encoded=True)
    if call.http.query_string:
        url = url.with_query(call.http.rel_url.query)
    headers = [
        (name, value)
        for name, value in call.http.headers.items()
        if name.lower() not in _HOP_BY_HOP and not name.lower().startswith(IMPERSONATION)
    ]
    headers.append(("X-Forwarded-Uri", call.http.rel_url.raw_path))
    body = call.http.content if call.http.body_exists else None
    try:
        answer = await request(
            session,
            call.http.method,
            url,
            headers=headers,
            data=body,
            # A redirect is for the client, who follows it as itself.
            allow_redirects=False,
            middlewares=(),
            ssl=verified,
        )
    except Unreachable as error:
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    async with answer:
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                response.headers.add(name, printable(value))
        if answer.content_length is not None:
            response.content_length = answer.content_length
        await pass_on(answer, response, call.http)
    return response


def _split(text: str) -> _Name:
    parts = text.split(":")
    match parts:
        case [name]:
            return _Name("", name, "")
        case [name, port]:
            return _Name("", name, port)
        case ["http" | "https" | "" as scheme, name, port]:
            return _Name(scheme, name, port)
    raise BadRequest(f"invalid request name {quoted(text)}: it is [scheme:]name[:port]")


def _location(call: Call, registry: Registry, wanted: _Name) -> tuple[str, bool]:
    """The URL's beginning, and whether its certificate is one of ours."""
    if call.resource == NODES:
        agent = agent_url(registry.object(NODES, "", wanted.name))
        check_address(agent.host or "")
        if wanted.scheme == "http" or wanted.port not in ("", str(agent.port)):
            raise BadRequest(
                f"invalid node request {quoted(call.info.name)}: only its agent can be reached,"
                f" by https at port {agent.port}"
            )
        return str(agent), True
    if call.resource == PODS:
        pod = registry.object(PODS, call.info.namespace, wanted.name)
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            raise BadRequest(f"address not allowed: pod {wanted.name} has no IP address yet")
        port = wanted.port or _first_port(pod)
        if port and not _is_port(port):
            raise BadRequest(
                f"invalid pod request {quoted(call.info.name)}: {quoted(port)} is no port number"
            )
    else:
        address, port = endpoint(registry, call.info.namespace, wanted.name, wanted.port)
    check_address(address)
    host = f"[{address}]" if ":" in address else address
    return f"{wanted.scheme or 'http'}://{host}" + (f":{port}" if port else ""), False


def check_address(host: str) -> None:
    """Raises BadRequest for what only the server itself should reach: its loopback, its links.

    It is the address that is dialled that is looked at, no name that could be resolved to another one later
    (CVE-2020-8562).
    """
    if causes := validate_endpoint_ip(host, ""):
        raise BadRequest(f"address not allowed: {causes[0].message}")


def _is_port(text: str) -> bool:
    try:
        return 0 < parse_uint64(text) < 1 << 16
    except ValueError:
        return False


def _first_port(pod: Obj) -> str:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            return str(port["containerPort"])
    return ""
