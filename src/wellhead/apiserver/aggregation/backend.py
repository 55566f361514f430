"""Reaching the servers behind APIServices: at an endpoint of their Services, as the front proxy."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from aiohttp import web
from yarl import URL

from wellhead.api.errors import ApiError
from wellhead.apiserver.aggregation.services import Remote
from wellhead.apiserver.authn import User
from wellhead.apiserver.calling_tls import BadBundle, unverified, verifying
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.service_endpoints import server_address
from wellhead.apiserver.subresources.upgrade import Headers, Refusal, pass_upgrade
from wellhead.ip import bracketed

_CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 30.0
_SAFE = "!#$&'*+-.^_`|~"  # RFC 9110: what a header's name may have beside letters and digits


class Unreachable(Exception):
    """There is nobody who could be asked; says why."""


class Backends:
    """Connections to all of them. A context manager."""

    def __init__(self, registry: Registry, certificate: tuple[str, str] | None) -> None:
        """`certificate` is the front proxy's, and its key's file: how this server is known to them."""
        self._registry = registry
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self, remote: Remote, method: str, path: str, user: User, seconds: float | None = None, **options: Any
    ) -> aiohttp.ClientResponse:
        """The answer, which has to be closed; `path` is as the client sent it, with its query.

        Raises Unreachable; aiohttp.ClientError, TimeoutError.
        """
        assert self._session is not None
        url = self._url(remote, path)
        headers = [*options.pop("headers", ()), *identity_headers(user), ("Host", remote.server_name)]
        return await self._session.request(
            method,
            url,
            headers=headers,
            ssl=self._tls(remote),
            server_hostname=remote.server_name,
            allow_redirects=False,
            # What the client didn't say is not for us to say: a body without a type is JSON.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS),
            **options,
        )

    async def upgrade(
        self, remote: Remote, request: web.BaseRequest, user: User, headers: Headers
    ) -> web.StreamResponse | Refusal:
        """Pass on a request that asks for another protocol, with its connection.

        Raises Unreachable, node_connection.Unreachable, InternalError.
        """
        all_headers = [*headers, *identity_headers(user), ("Host", remote.server_name)]
        url = self._url(remote, request.raw_path)
        return await pass_upgrade(request, url, all_headers, self._tls(remote), remote.server_name)

    def _url(self, remote: Remote, path: str) -> URL:
        try:
            host, port = server_address(self._registry, remote.namespace, remote.service, remote.port)
        except ApiError as error:
            raise Unreachable(str(error)) from None
        return URL(f"https://{bracketed(host)}:{port}{path}", encoded=True)

    def _tls(self, remote: Remote) -> ssl.SSLContext:
        if remote.unverified:
            return unverified(self._certificate)
        try:
            return verifying(remote.ca_bundle, self._certificate)
        except BadBundle as error:
            raise Unreachable(str(error)) from None


def identity_headers(user: User) -> Iterable[tuple[str, str]]:
    """Who asks, as the request's authenticator upstream reads it."""
    yield "X-Remote-User", user.name
    if user.uid:
        yield "X-Remote-Uid", user.uid
    for group in user.groups:
        yield "X-Remote-Group", group
    for key, values in user.extra.items():
        for value in values:
            yield f"X-Remote-Extra-{quote(key, safe=_SAFE)}", value
