"""A process of hollow nodes: watches and leases by hand-written HTTP, one connection each.

`python -m bench.hollow.nodes DIRECTORY SERVER:PORT SOURCE FIRST COUNT` prints `ready` once every watch has
all that there is. The next line of its standard input says how many changes all watches together hear of.
When they have, or some time later, it prints what it noted, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import resource
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import uvloop

STAMP = "bench/sent"
"""The annotation of an object that says when (`time.monotonic_ns`) it was changed."""
PROXY = "hollow-proxy"
"""Who all proxies are."""
_STAMPED = re.compile(rb'"bench/sent":"(\d+)"')
_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
_END = b"k8s.io/initial-events-end"
_RENEWAL_SECONDS = 10.0
_AT_ONCE = 8
_LONGEST_SECONDS = 600.0
_PATIENCE_SECONDS = 60.0

WATCHED = (
    "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    "&timeoutSeconds=1200"
)
"""The query of a watch that begins with what there is, and says when that is over."""


def node_name(number: int) -> str:
    return f"hollow-{number}"


P = TypeVar("P", bound=asyncio.Protocol)


@dataclass
class Noted:
    """Seconds from a change until it was read here, and from a lease's renewal until its answer."""

    changes: list[float] = field(default_factory=list)
    leases: list[float] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self, seconds: float) -> None:
        self.changes.append(seconds)
        self._news.set()

    async def heard(self, count: int) -> None:
        """Wait for so many changes."""
        while len(self.changes) < count:
            self._news.clear()
            await self._news.wait()


class Watch(asyncio.Protocol):
    """One watch."""

    def __init__(self, path: str, noted: Noted) -> None:
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n"
        self._noted = noted
        self._rest = b""
        self.synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's isn't one by its class
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self.synced.done():
                if stamped := _STAMPED.search(line):
                    self._noted.change((now - int(stamped[1])) / 1e9)
            elif _END in line:
                self.synced.set_result(None)
            elif line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
                self.synced.set_exception(RuntimeError(f"{self._request.split()[1]}: {line.decode()}"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.synced.done():
            self.synced.set_exception(RuntimeError(f"the connection of a watch broke: {error}"))


class Lease(asyncio.Protocol):
    """One node's lease, which it makes and renews."""

    def __init__(self, node: str, noted: Noted) -> None:
        self._node = node
        self._noted = noted
        self._sent = 0.0
        self._version = ""
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's isn't one by its class
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(random.uniform(0, _RENEWAL_SECONDS), self._renew)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not found or length is None or len(body) < int(length[1]):
            return
        if self._version:
            self._noted.leases.append(time.monotonic() - self._sent)
        version = _VERSION.search(body)
        if not head.startswith(b"HTTP/1.1 20") or version is None:
            raise RuntimeError(f"the lease of {self._node}: {self._got.decode()}")
        self._version, self._got = version[1].decode(), b""
        self._loop.call_later(_RENEWAL_SECONDS, self._renew)

    def _renew(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        metadata = {"name": self._node, "namespace": "kube-node-lease"}
        if self._version:
            metadata["resourceVersion"] = self._version
        spec = {"holderIdentity": self._node, "leaseDurationSeconds": 40, "renewTime": _now()}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        body = json.dumps(lease)
        line = f"PUT {path}/{self._node}" if self._version else f"POST {path}"
        head = (
            f"{line} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        self._sent = time.monotonic()
        self._transport.write(f"{head}\r\n\r\n{body}".encode())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000000Z"


def _context(directory: Path, identity: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(directory / "ca.crt")
    context.load_cert_chain(directory / f"{identity}.crt", directory / f"{identity}.key")
    return context


async def _run(directory: Path, server: str, source: str, numbers: range) -> None:
    noted, turns = Noted(), asyncio.Semaphore(_AT_ONCE)
    host, _, port = server.partition(":")
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []

    async def connect(make: Callable[[], P], context: ssl.SSLContext) -> P:
        transport, protocol = await loop.create_connection(
            make, host, int(port), ssl=context, server_hostname=host, local_addr=(source, 0)
        )
        transports.append(transport)
        return protocol

    proxies = _context(directory, PROXY)

    async def node(number: int) -> None:
        name = node_name(number)
        context = _context(directory, name)
        pods = f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}&{WATCHED}"
        async with turns:
            for path, who in (
                (pods, context),
                (f"/api/v1/services?{WATCHED}", proxies),
                (f"/apis/discovery.k8s.io/v1/endpointslices?{WATCHED}", proxies),
            ):
                watch = await connect(partial(Watch, path, noted), who)
                await watch.synced
            await connect(partial(Lease, name, noted), context)

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(node(number))
    print("ready", flush=True)
    line = await asyncio.wait_for(asyncio.to_thread(sys.stdin.readline), _LONGEST_SECONDS)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await noted.heard(int(line or 0))
    for transport in transports:
        transport.abort()
    print(json.dumps({"changes": noted.changes, "leases": noted.leases}), flush=True)


def main() -> None:
    directory, server, source, first, count = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    numbers = range(int(first), int(first) + int(count))
    uvloop.run(_run(Path(directory), server, source, numbers))


if __name__ == "__main__":
    main()
