"""The webhook backend: batches of events, posted to a server that a kubeconfig names.

Upstream: plugin/pkg/audit/webhook.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import aiohttp

from wellhead.client.connection import Connection

_SECONDS = 30.0
_TRIES = 5
_FACTOR = 1.5
_JITTER = 0.2
_AGAIN = frozenset({429, 500, 502, 503, 504})


class Refused(Exception):
    """The server's answer wasn't that it took the events."""


class Webhook:
    """A sink that posts an EventList."""

    name = "webhook"

    def __init__(self, connection: Connection, backoff: float) -> None:
        """`backoff`: seconds before the second try."""
        self._connection = connection
        self._backoff = backoff
        self._session: aiohttp.ClientSession | None = None

    async def send(self, events: Sequence[bytes]) -> None:
        body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[%b]}' % b",".join(
            events
        )
        pause = self._backoff
        for attempt in range(1, _TRIES + 1):
            try:
                code = await self._post(body)
            except (aiohttp.ClientError, TimeoutError, OSError):
                if attempt == _TRIES:
                    raise
            else:
                if 200 <= code < 300:
                    return
                if code not in _AGAIN or attempt == _TRIES:
                    raise Refused(f"{self._connection.server} answers {code}")
            await asyncio.sleep(pause * (1 + random.random() * _JITTER))
            pause *= _FACTOR

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes) -> int:
        if self._session is None:
            tls = self._connection.ssl_context
            connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with (
            asyncio.timeout(_SECONDS),
            self._session.post(
                self._connection.server,
                data=body,
                headers={"Content-Type": "application/json", **self._connection.headers()},
                server_hostname=self._connection.server_hostname,
                allow_redirects=False,
            ) as answer,
        ):
            await answer.read()
            return answer.status
