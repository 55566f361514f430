"""Connections: so many at a time, and so many from one address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

from wellhead.api.limits import Limits
from wellhead.memory import Tidy


class Connections(web.Server):
    """aiohttp's maker of protocols, which ends at once what is too much."""

    def __init__(self, handler: Any, limits: Limits, refused: Callable[[str], None], **options: Any) -> None:
        """`refused` is called with the limit that a connection was above."""
        super().__init__(handler, **options)
        self._limits = limits
        self._refused = refused
        self._addresses: dict[web.RequestHandler, str] = {}
        self._counts: Counter[str] = Counter()
        self._tidy = Tidy()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Called by the protocol."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if len(self._addresses) >= self._limits.connections:
            self._refused("connections")
            transport.abort()
        elif self._counts[address] >= self._limits.address_connections:
            self._refused("address-connections")
            transport.abort()
        else:
            self._addresses[handler] = address
            self._counts[address] += 1
            self._tidy.changed()
            super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Called by the protocol."""
        address = self._addresses.pop(handler, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]
            self._tidy.changed()
        super().connection_lost(handler, exc)
