"""Calling a webhook: where it is, whether it is who it should be, and no more of its answer than is good.

Upstream: apiserver's pkg/util/webhook/client.go.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from wellhead.api.documents import read_json
from wellhead.api.errors import ApiError
from wellhead.api.limits import Limits
from wellhead.api.meta import Obj
from wellhead.api.webhooks.hook import Hook
from wellhead.api.webhooks.review import CallFailed
from wellhead.apiserver.answered import body_of
from wellhead.apiserver.calling_errors import reason
from wellhead.apiserver.calling_tls import BadBundle, verifying
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.service_endpoints import server_address
from wellhead.storage.encoding import encode_json
from wellhead.text import printable, quoted

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "kube-apiserver-admission",
}
_IDLE_SECONDS = 30.0
_LONGEST_REASON = 1024  # bytes of an answer that is an error
_SAID = {
    401: "the server has asked for the client to provide credentials",
    403: "the server does not allow access to the requested resource",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the"
    " request",
}


class _Target:
    """Where a call goes: what is shown of it, what is dialled, and by which name it must be known."""

    def __init__(self, shown: str, dialled: URL, server_name: str) -> None:
        self.shown = shown
        self.dialled = dialled
        self.server_name = server_name

    @property
    def address(self) -> str:
        return f"{self.dialled.host_subcomponent}:{self.dialled.port}"


class WebhookClient:
    """Calls webhooks, over connections that are kept. A context manager."""

    def __init__(self, registry: Registry, limits: Limits) -> None:
        self._registry = registry
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, hook: Hook, review: Obj) -> object:
        """The webhook's answer to an AdmissionReview, not looked at yet. Raises CallFailed."""
        try:
            return await self.post(dict(hook.client), review, hook.seconds)
        except NotCalled as error:
            raise CallFailed(hook.name, str(error)) from error

    async def post(self, client: dict[str, Any], body: Obj, seconds: float) -> object:
        """The JSON that a clientConfig's server answers. Raises NotCalled."""
        assert self._session is not None
        try:
            tls = verifying(client.get("caBundle") or "")
        except BadBundle as error:
            raise NotCalled(f"could not get REST client: {error}") from None
        target = self._target(client, seconds)
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.post(
                    target.dialled,
                    data=encode_json(body),
                    headers=_HEADERS | {"Host": urlsplit(target.shown).netloc},
                    ssl=tls,
                    server_hostname=target.server_name,
                    # What is sent is for this server, and nobody whom it names (CVE-2020-8561).
                    allow_redirects=False,
                ) as answer,
            ):
                data = await body_of(answer, self._limits.request_body)
                code = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = reason(error, target.address)
            raise NotCalled(f"failed to call webhook: Post {quoted(target.shown)}: {why}") from error
        if not 200 <= code < 300:
            raise NotCalled(f"failed to call webhook: {_error(code, data)}")
        try:
            return read_json(data, self._limits)[0]
        except ApiError as error:
            raise NotCalled(f"failed to call webhook: {error}") from error

    def _target(self, client: dict[str, Any], seconds: float) -> _Target:
        query = f"?timeout={math.ceil(seconds)}s"
        service = client.get("service")
        if service is None:
            shown = f"{client.get('url') or ''}{query}"
            url = URL(shown)
            return _Target(shown, url, url.host or "")
        name, namespace, port = service["name"], service["namespace"], service.get("port") or 443
        server_name = f"{name}.{namespace}.svc"
        path = service.get("path") or "/"
        shown = f"https://{server_name}:{port}{path if path.startswith('/') else f'/{path}'}{query}"
        try:
            host, number = server_address(self._registry, namespace, name, port)
        except ApiError as error:
            missing = error.code == 404
            why = f"service {quoted(name)} not found" if missing else str(error)
            raise NotCalled(f"failed to call webhook: Post {quoted(shown)}: {why}") from None
        return _Target(shown, URL(shown).with_host(host).with_port(number), server_name)


class NotCalled(Exception):
    """There is no answer that could be read; says why as upstream does."""


def _error(code: int, data: bytes) -> str:
    """What client-go makes of an answer that is no success."""
    text = printable(data[:_LONGEST_REASON].decode(errors="replace").strip())
    if code in _SAID:
        return _SAID[code]
    if code >= 500:
        return (
            f"an error on the server ({quoted(text or 'unknown')}) has prevented the request from succeeding"
        )
    return f"the server rejected our request for an unknown reason (code {code})"
