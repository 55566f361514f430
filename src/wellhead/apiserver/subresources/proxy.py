"""pods/proxy, services/proxy, nodes/proxy: an HTTP request handed on to what runs behind the object.

The name may carry a scheme and a port: `https:web:8443` (upstream's SplitSchemeNamePort). Who reads
X-Forwarded-For can believe its last element only: the others are what the client sent.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from wellhead.api.errors import BadRequest, ServiceUnavailable
from wellhead.api.kinds.targets import validate_endpoint_ip
from wellhead.api.meta import Obj
from wellhead.api.numbers import parse_uint64
from wellhead.api.resources import NODES, PODS
from wellhead.apiserver import calling_tls
from wellhead.apiserver.call import Call
from wellhead.apiserver.impersonation import PREFIX as IMPERSONATION
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.service_endpoints import endpoint
from wellhead.apiserver.subresources import pages
from wellhead.apiserver.subresources.links import Way
from wellhead.apiserver.subresources.node_connection import Unreachable, agent_url, request
from wellhead.apiserver.subresources.relay import HOP_BY_HOP, pass_on
from wellhead.apiserver.subresources.upgrade import Headers, Refusal, pass_upgrade, refused
from wellhead.apiserver.websockets import wanted
from wellhead.ip import bracketed
from wellhead.text import printable, quoted

_FORWARDED_FOR = "X-Forwarded-For"
_NOT_PASSED_ON = HOP_BY_HOP | {_FORWARDED_FOR.lower(), "x-forwarded-uri"}
# What a page says of others' pages isn't for the API server's own.
_NOT_PASSED_BACK = HOP_BY_HOP | {
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
}
_MOST_HTML = 4 * 1024 * 1024  # bytes of a page whose links are rewritten


_ANY = calling_tls.unverifying()
"""Towards pods and Services, whose certificates nobody here vouches for."""


@dataclass(frozen=True, slots=True)
class _Name:
    """What a proxied name says. `port` may be a name or a number, and '' if none is given."""

    scheme: str
    name: str
    port: str


async def proxy(
    call: Call, registry: Registry, session: aiohttp.ClientSession, agents: ssl.SSLContext
) -> web.StreamResponse:
    """Raises NotFound, BadRequest, ServiceUnavailable; ConnectionError once the answer has begun."""
    http, rest = call.http, call.info.rest
    base, is_agent = _location(call, registry, _split(call.info.name))
    query = f"?{http.rel_url.raw_query_string}" if http.rel_url.raw_query_string else ""
    url = URL(f"{base}{rest or '/'}{query}", encoded=True)
    forwarded = ", ".join([*http.headers.getall(_FORWARDED_FOR, []), http.remote or ""])
    headers = [
        *(
            (name, value)
            for name, value in http.headers.items()
            if name.lower() not in _NOT_PASSED_ON and not name.lower().startswith(IMPERSONATION)
        ),
        ("Host", http.headers.get("Host", url.authority)),
        (_FORWARDED_FOR, forwarded),
    ]
    try:
        if wanted(http):
            return await _upgraded(http, url, headers, agents if is_agent else _ANY)
        if not rest and http.method in ("GET", "HEAD"):
            # A page's relative links mean something only below a path that ends with a slash.
            where = {"Location": f"{http.rel_url.raw_path}/{query}"}
            return web.Response(status=web.HTTPMovedPermanently.status_code, headers=where)
        answer = await request(
            session,
            http.method,
            url,
            headers=[*headers, ("X-Forwarded-Uri", http.rel_url.raw_path)],
            data=http.content if http.body_exists else None,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            # A redirect is for the client, who follows it as itself.
            allow_redirects=False,
            middlewares=(),
            ssl=True if is_agent else _ANY,
        )
    except Unreachable as error:
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    async with answer:
        prefix = http.rel_url.raw_path.removesuffix(rest)
        return await _passed_on(call, answer, Way(prefix, url.authority, http.headers.get("Host", "")))


async def _upgraded(
    http: web.BaseRequest, url: URL, headers: Headers, tls: ssl.SSLContext
) -> web.StreamResponse:
    answer = await pass_upgrade(http, url, headers, tls if url.scheme == "https" else None)
    return refused(answer) if isinstance(answer, Refusal) else answer


async def _passed_on(call: Call, answer: aiohttp.ClientResponse, way: Way) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name.lower() == "location":
            response.headers.add(name, printable(way.through(value)))
        elif name.lower() not in _NOT_PASSED_BACK:
            response.headers.add(name, printable(value))
    page = answer.content_type == "text/html" and "Location" not in answer.headers
    if page and call.http.method != "HEAD":
        encoding = answer.headers.get("Content-Encoding", "")
        begun = await _read(answer, _MOST_HTML) if encoding in pages.ENCODINGS else b""
        if begun and answer.content.at_eof():
            rewritten = await call.bodies.apart.run(
                len(begun), lambda: pages.rewritten(begun, encoding, way.through, _MOST_HTML)
            )
            response.content_length = len(rewritten)
            await response.prepare(call.http)
            await response.write(rewritten)
            await response.write_eof()
            return response
        if begun:  # it is too long to be held, and is passed on as it is
            await response.prepare(call.http)
            await response.write(begun)
    if answer.content_length is not None and not response.prepared:
        response.content_length = answer.content_length
    await pass_on(answer, response, call.http)
    return response


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or its beginning. Raises ConnectionError if it breaks off."""
    body = bytearray()
    try:
        while len(body) <= most and (chunk := await answer.content.readany()):
            body += chunk
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionAbortedError("the answer broke off") from error
    return bytes(body)


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
    return f"{wanted.scheme or 'http'}://{bracketed(address)}" + (f":{port}" if port else ""), False


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
