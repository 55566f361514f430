"""The server: UDP and TCP, on sockets that were made here or inherited."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence

from wellhead.dns.forwarding import Forwarder
from wellhead.dns.metrics import Metrics
from wellhead.dns.responder import OUTSIDE, Elsewhere, Responder

_log = logging.getLogger(__name__)

_LONGEST_DATAGRAM = 65535
_AT_ONCE = 64  # datagrams, before others have their turn on the loop
_MOST_CONNECTIONS = 1000
MOST_OF_ADDRESS = 200
"""Connections of one client, so that none takes all there are."""
_IDLE = 10.0  # seconds that a TCP client may be silent (RFC 7766 wants "a few")
_LENGTH = struct.Struct("!H")
_FAMILIES = {socket.AF_INET: "1", socket.AF_INET6: "2"}


class Server:
    """Answers on its sockets until cancelled. What arrived before waits in them."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        responder: Responder,
        forwarder: Forwarder | None,
        metrics: Metrics,
    ) -> None:
        self._sockets = sockets
        self._responder = responder
        self._forwarder = forwarder
        self._metrics = metrics
        self._connections: Counter[str] = Counter()

    async def run(self) -> None:
        """Raises OSError when a socket can't be served."""
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for each in self._sockets:
                each.setblocking(False)
                family = _FAMILIES[each.family]
                if each.type == socket.SOCK_DGRAM:
                    stack.callback(loop.remove_reader, each)
                    loop.add_reader(each, self._read, each, family, group)
                else:
                    connected = functools.partial(self._connected, group, family)
                    listener = await asyncio.start_server(connected, sock=each)
                    stack.callback(listener.close)
            await loop.create_future()

    # UDP

    def _read(self, sock: socket.socket, family: str, group: asyncio.TaskGroup) -> None:
        clock, respond, metrics = time.perf_counter, self._responder.respond, self._metrics
        for _ in range(_AT_ONCE):
            try:
                # Answered first, then taken from the queue: who is killed in between leaves it to the next.
                data, client = sock.recvfrom(_LONGEST_DATAGRAM, socket.MSG_PEEK)
            except BlockingIOError:
                return
            except OSError as error:  # what the network says of a reply that went nowhere
                _log.debug("receiving: %s", error)
                continue
            begin = clock()
            found = respond(data, tcp=False)
            if isinstance(found, Elsewhere):
                sock.recv(1)
                group.create_task(self._forward_datagram(sock, client, family, found, begin))
                continue
            reply, entry = found
            if reply is not None:
                _send(sock, reply, client)
                metrics.answered(family, "udp", entry.type, entry.zone, entry.rcode, clock() - begin)
            sock.recv(1)

    async def _forward_datagram(
        self, sock: socket.socket, client: object, family: str, asked: Elsewhere, begin: float
    ) -> None:
        reply = await self._elsewhere(asked, family, "udp", begin)
        _send(sock, reply, client)

    # TCP (RFC 7766): each message after its length

    def _connected(
        self,
        group: asyncio.TaskGroup,
        family: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        client, *_ = writer.get_extra_info("peername") or ("",)  # it may have left already
        if self._connections.total() >= _MOST_CONNECTIONS or self._connections[client] >= MOST_OF_ADDRESS:
            writer.transport.abort()
            return
        self._connections[client] += 1
        group.create_task(self._serve(reader, writer, family, client))

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, family: str, client: str
    ) -> None:
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await self._converse(reader, writer, family)
        finally:
            self._connections[client] -= 1
            if not self._connections[client]:
                del self._connections[client]
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, family: str
    ) -> None:
        while True:
            async with asyncio.timeout(_IDLE):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            begin = time.perf_counter()
            found = self._responder.respond(data, tcp=True)
            if isinstance(found, Elsewhere):
                reply: bytes | None = await self._elsewhere(found, family, "tcp", begin)
            else:
                reply, entry = found
                taken = time.perf_counter() - begin
                self._metrics.answered(family, "tcp", entry.type, entry.zone, entry.rcode, taken)
            if reply is None:
                return
            writer.write(_LENGTH.pack(len(reply)) + reply)
            try:
                async with asyncio.timeout(_IDLE):
                    await writer.drain()
            except TimeoutError:  # it doesn't read: nothing is to wait for that
                writer.transport.abort()
                return

    async def _elsewhere(self, asked: Elsewhere, family: str, protocol: str, begin: float) -> bytes:
        found = await self._forwarder.ask(asked) if self._forwarder is not None else None
        reply, rcode = self._responder.complete(asked, found)
        taken = time.perf_counter() - begin
        self._metrics.answered(family, protocol, asked.question.type, OUTSIDE, rcode, taken)
        return reply


def _send(sock: socket.socket, reply: bytes, client: object) -> None:
    """What can't be sent is lost, as datagrams are: the client asks again."""
    try:
        sock.sendto(reply, client)  # type: ignore[call-overload]
    except OSError as error:
        _log.debug("to %s: %s", client, error)
