"""The only way from a program to a registry: a proxy in a network namespace where there is nothing else.

skopeo goes wherever a registry sends it, as long as it takes. So it runs in a namespace with no link but
loopback, and there this proxy listens, whose other end is on the machine's network: it connects to no place
that `places.py` refuses (it resolves names itself, and dials what it has checked), moves no more bytes than
are allowed, and gives up when next to nothing comes.

A registry on the machine's own loopback that the configuration allows is there in the namespace, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from wellhead.images.registry import places
from wellhead.images.registry.places import Place
from wellhead.linux import namespaces

_log = logging.getLogger(__name__)

_HEAD_MAX = 64 << 10  # bytes of a request's head
_AT_ONCE = 1 << 16  # bytes
_DIAL_SECONDS = 15.0
_CONNECTIONS = 10_000  # of one pull; each layer takes one or two
_SIOCSIFFLAGS, _SIOCGIFFLAGS, _IFF_UP = 0x8914, 0x8913, 1


@dataclass(frozen=True)
class Limits:
    """The most bytes that come through, and how many of them (`trickle`) must within `patience` seconds."""

    size: int
    patience: float = 120.0
    trickle: int = 64 << 10


class Gate:
    """One pull's way out. `network` is the namespace's descriptor, `proxy` the proxy's URL in there."""

    def __init__(self, limits: Limits, allowed: frozenset[Place], moved: Callable[[int], None]) -> None:
        self.network = -1
        self.proxy = ""
        self.problem = ""
        """Why the gate was shut, if it was; a program's own words for that say little."""
        self.refused = ""
        """The last place that nobody is let to."""
        self._limits = limits
        self._allowed = allowed
        self._moved = moved
        self._received = 0
        self._connections = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    def shut(self, why: str) -> None:
        """End all connections, for this reason. From any thread."""
        self.problem = self.problem or why
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._end_connections)

    def _end_connections(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self, listeners: dict[socket.socket, Place | None], started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            servers = []
            for listener, place in listeners.items():
                serve = self._proxy if place is None else self._forwarder(place)
                servers.append(await asyncio.start_server(self._owned(serve), sock=listener, limit=_HEAD_MAX))
            watch = group.create_task(self._watch_rate())
            started.set()
            await self._stop.wait()
            watch.cancel()
            for server in servers:
                server.close()
            self._end_connections()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def _owned(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self._connections += 1
            try:
                if self.problem:
                    return
                if self._connections > _CONNECTIONS:
                    self.shut(f"the registry made it connect more than {_CONNECTIONS} times")
                    return
                await serve(reader, writer)
            except asyncio.CancelledError:
                pass  # shut
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                _log.debug("a connection through the gate: %s", error)
            finally:
                self._tasks.discard(task)
                writer.transport.abort() if self.problem else writer.close()

        return handle

    async def _watch_rate(self) -> None:
        while True:
            before = self._received
            await asyncio.sleep(self._limits.patience)
            if self._tasks and self._received - before < self._limits.trickle:
                self.shut(
                    f"the registry sent less than {self._limits.trickle} bytes in {self._limits.patience:g} s"
                )

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, *_ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{target}" if tunnel else target)
        if not parts.hostname or not (tunnel or parts.scheme == "http"):
            raise ValueError(f"no place: {target[:200]!r}")
        place = parts.hostname.lower(), parts.port or 80
        try:
            upstream = await self._dial(place)
        except OSError as error:
            self.refused = f"{place[0]}:{place[1]}: {error}"
            text = str(error).encode("ascii", "replace").replace(b"\n", b" ")
            writer.write(b"HTTP/1.1 502 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % text)
            await writer.drain()
            return
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._both_ways(reader, writer, *upstream)
        else:
            path = target[target.index(parts.netloc) + len(parts.netloc) :] or "/"
            upstream[1].write(_rewritten(head, f"{method} {path} HTTP/1.1"))
            # One request a connection: the next one may be for somebody else.
            await self._one_way(upstream, writer)

    def _forwarder(
        self, place: Place
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._both_ways(reader, writer, *await self._dial(place))

        return forward

    async def _dial(self, place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first of the place's addresses that answers. Raises OSError."""
        host, port = place
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise OSError(
                f"no such host: {error.strerror if isinstance(error, OSError) else error}"
            ) from None
        problem: OSError | None = None
        for address in dict.fromkeys(str(each[4][0]) for each in found):
            why = places.refusal(ip_address(address.partition("%")[0]))
            if why is not None and place not in self._allowed:
                problem = OSError(f"{why}: no registry is looked for there")
                continue
            try:
                async with asyncio.timeout(_DIAL_SECONDS):
                    return await asyncio.open_connection(address, port, limit=_AT_ONCE)
            except TimeoutError:
                problem = OSError(f"{address} doesn't answer")
            except OSError as error:
                problem = OSError(error.strerror or str(error))
        raise problem or OSError("no address")

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            out = group.create_task(_pump(reader, far_writer, lambda size: None))
            try:
                await _pump(far_reader, writer, self._count)
            finally:
                out.cancel()
                far_writer.close()

    async def _one_way(
        self, upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter], writer: asyncio.StreamWriter
    ) -> None:
        try:
            await _pump(upstream[0], writer, self._count)
        finally:
            upstream[1].close()

    def _count(self, size: int) -> None:
        self._received += size
        self._moved(self._received)
        if self._received > self._limits.size:
            self.shut("the registry sends more than the bound; see --max-size")


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_AT_ONCE):
            count(len(data))
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


def _rewritten(head: bytes, first: str) -> bytes:
    """A request's head as the server itself shall get it."""
    kept = [
        line
        for line in head.split(b"\r\n")[1:-2]
        if line.partition(b":")[0].strip().lower()
        not in (b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive")
    ]
    return b"\r\n".join([first.encode("ascii"), *kept, b"Connection: close", b"", b""])


@contextmanager
def opened(
    limits: Limits,
    allowed: frozenset[Place] = frozenset(),
    moved: Callable[[int], None] = lambda received: None,
) -> Iterator[Gate]:
    """A gate, served by a thread of its own; `moved` is told there how many bytes have come.

    `allowed` are places that may be reached wherever they are. Raises OSError.
    """
    gate = Gate(limits, allowed, moved)
    near = [place for place in sorted(allowed) if places.is_loopback(place[0])]
    network, listeners = namespaces.in_new_thread(lambda: _make(near))
    gate.network = network
    port = next(each for each, place in listeners.items() if place is None).getsockname()[1]
    gate.proxy = f"http://127.0.0.1:{port}"
    started = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(gate._serve(listeners, started)), name="gate", daemon=True
    )
    thread.start()
    try:
        started.wait(10)
        yield gate
    finally:
        if gate._loop is not None:
            with contextlib.suppress(RuntimeError):
                gate._loop.call_soon_threadsafe(gate._stop.set)
        thread.join()
        os.close(network)
        for listener in listeners:
            listener.close()


def _make(near: list[Place]) -> tuple[int, dict[socket.socket, Place | None]]:
    """In a thread that ends afterwards: a namespace's descriptor, and the sockets that listen in it."""
    namespaces.unshare(namespaces.CLONE_NEWNET)
    _set_up("lo")
    listeners: dict[socket.socket, Place | None] = {}
    taken = set()
    for host, port in near:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            if (address, port) in taken:
                continue
            taken.add((address, port))
            with contextlib.suppress(OSError):  # a kernel without IPv6
                listeners[_listen(family, address, port)] = host, port
    listeners[_listen(socket.AF_INET, "127.0.0.1", 0)] = None
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC), listeners


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(64)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _set_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", interface.encode(), 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), flags | _IFF_UP))
