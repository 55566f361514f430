"""A request for another server's group, handed on to it as the user who makes it.

Upstream: kube-aggregator's pkg/apiserver/handler_proxy.go.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import aiohttp
from aiohttp import web

from wellhead.api.errors import ServiceUnavailable
from wellhead.api.query import is_true
from wellhead.api.resource import Resource
from wellhead.apiserver.aggregation.backend import Backends, Unreachable
from wellhead.apiserver.aggregation.services import Remote
from wellhead.apiserver.authn import User
from wellhead.apiserver.calling_errors import reason
from wellhead.apiserver.exchange import AUDIT_ID, Exchange
from wellhead.apiserver.impersonation import PREFIX as IMPERSONATION
from wellhead.apiserver.info import RequestInfo, verb_of
from wellhead.apiserver.subresources.node_connection import Unreachable as NoConnection
from wellhead.apiserver.subresources.relay import HOP_BY_HOP, pass_on
from wellhead.apiserver.subresources.upgrade import Refusal, refused
from wellhead.apiserver.websockets import wanted
from wellhead.text import printable

_log = logging.getLogger(__name__)

_REMOTE = "x-remote-"
_OWN = AUDIT_ID.lower()
_REDIRECTS = "the backend attempted to redirect this request, which is not permitted"
_DISCOVERY_SECONDS = 5.0


async def proxy(
    request: Exchange, info: RequestInfo, user: User, remote: Remote, backends: Backends
) -> web.StreamResponse:
    """Raises ServiceUnavailable; ConnectionError once the answer has begun."""
    if not remote.available:
        raise ServiceUnavailable("service unavailable")
    headers = [
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in HOP_BY_HOP and not name.lower().startswith((IMPERSONATION, _REMOTE, _OWN))
    ]
    headers += [(AUDIT_ID, request.answer_headers[AUDIT_ID])]
    try:
        if wanted(request):
            answered = await backends.upgrade(remote, request, user, headers)
            return refused(answered) if isinstance(answered, Refusal) else answered
        answer = await backends.request(
            remote,
            request.method,
            request.raw_path,
            user,
            _DISCOVERY_SECONDS if info.resource is None else None,
            headers=headers,
            data=request.content if request.body_exists else None,
        )
    except Unreachable as error:
        _log.warning("the APIService %s: %s", remote.name, error)
        raise ServiceUnavailable("service unavailable") from error
    except NoConnection as error:
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = reason(error, f"{remote.server_name}:{remote.port}")
        raise ServiceUnavailable(f"error trying to reach service: {why}") from error
    async with answer:
        if 300 <= answer.status < 400 and answer.headers.get("Location"):
            # The client's credentials are for this server, and nobody whom another one names (CVE-2022-3172).
            return web.Response(status=502, text=_REDIRECTS)
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                response.headers.add(name, printable(value))
        if answer.content_length is not None:
            response.content_length = answer.content_length
        await pass_on(answer, response, request)
    return response


def remote_info(method: str, path: str, query: Mapping[str, str], remote: Remote) -> RequestInfo:
    """What a request for another server's group asks for, as authorisation sees it."""
    rest = path.removeprefix(remote.path).strip("/").split("/")
    if rest == [""]:
        return RequestInfo(method.lower(), path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    resource = Resource(remote.group, remote.version, plural, plural, namespaced=bool(namespace))
    verb = verb_of(method, named=bool(name), watch=is_true(query, "watch"))
    return RequestInfo(verb, path, resource, namespace, name, subresource)
