"""Connections: so many at a time, and so many from one address."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from struct import pack
from typing import Any

from aiohttp import web

from wellhead.api.limits import Limits
from wellhead.memory import Tidy

_log = logging.getLogger(__name__)

_BACKLOG = 1024
_HANDSHAKE_SECONDS = 10.0
_NO_LINGERING = pack("ii", 1, 0)
_PAUSE = 0.1
"""Seconds until another connection is tried, where the system has no room for one."""


class Connections(web.Server):
    """aiohttp's maker of protocols, with a door: what is too much is ended at once.

    A connection counts from when it is accepted. TLS takes 60 KB for one that never says a word.
    """

    def __init__(self, handler: Any, limits: Limits, refused: Callable[[str], None], **options: Any) -> None:
        """`refused` is called with the limit that a connection was above."""
        super().__init__(handler, **options)
        self._limits = limits
        self._refused = refused
        self._addresses: dict[web.RequestHandler, str] = {}
        self._counts: Counter[str] = Counter()
        self._tidy = Tidy()

    async def accept(self, listener: socket.socket, tls: ssl.SSLContext) -> None:
        """Let in whoever connects to `listener`, until cancelled; then it is closed."""
        with listener:
            listener.listen(_BACKLOG)
            async with asyncio.TaskGroup() as handshakes:
                while True:
                    try:
                        connection, peer = await asyncio.get_running_loop().sock_accept(listener)
                    except OSError as error:
                        _log.warning("no connection can be accepted: %s", error)
                        await asyncio.sleep(_PAUSE)
                        continue
                    if self._has_room(str(peer[0])):
                        handshakes.create_task(self._welcome(connection, str(peer[0]), tls))
                        await asyncio.sleep(0)  # it begins, and counts
                    else:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
                        connection.close()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Called by the protocol."""
        self._forget(handler)
        super().connection_lost(handler, exc)

    def _has_room(self, address: str) -> bool:
        if len(self._addresses) >= self._limits.connections:
            self._refused("connections")
        elif self._counts[address] >= self._limits.address_connections:
            self._refused("address-connections")
        else:
            return True
        return False

    async def _welcome(self, connection: socket.socket, address: str, tls: ssl.SSLContext) -> None:
        handler = self()
        self._addresses[handler] = address
        self._counts[address] += 1
        self._tidy.changed()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: handler, connection, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except Exception as error:  # mostly of TLS, or that it took too long; never the others' problem
            _log.debug("%s: %r", address, error)
            self._forget(handler)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    def _forget(self, handler: web.RequestHandler) -> None:
        address = self._addresses.pop(handler, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]
            self._tidy.changed()
