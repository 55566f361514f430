"""A small network of namespaces: a client, a router, and nodes that hold the VIPs on their loopback.

Namespaces live as long as their file descriptors, so nothing stays behind, whatever happens to the tests.
Sockets made in a namespace stay there, so servers and clients all run on the test's own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.packets.cloud.control import Control
from tests.patience import PATIENCE
from wellhead.images import haproxy
from wellhead.images.store import ImageNotFound, ImageStore
from wellhead.linux import namespaces

if TYPE_CHECKING:
    from tests.packets.cloud.proxied import World

T = TypeVar("T")

CLIENT = IPv4Address("198.51.100.79")
CLIENT6 = IPv6Address("2001:db8:51::79")
VIPS = (IPv4Address("203.0.113.140"), IPv4Address("203.0.113.141"))
VIPS6 = (IPv6Address("2001:db8:113::140"), IPv6Address("2001:db8:113::141"))
NODES = tuple(IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
PORT = 80
_WORDS = b"still there?\n"

IPAddress = IPv4Address | IPv6Address


def ipv6(address: IPv4Address) -> IPv6Address:
    """The IPv6 address of the machine with this address on the nodes' network."""
    return IPv6Address(f"fd00:10:240::{int(address) & 0xFF}")


class Host:
    """A network namespace with one interface, or several."""

    def __init__(self) -> None:
        self.fd = namespaces.in_new_thread(_new_namespace)
        self.run("ip link set lo up")
        self.sysctl("net/ipv6/conf/default/accept_dad", "0")  # IPv6 works at once

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        os.close(self.fd)

    def inside(self, work: Callable[[], T]) -> T:
        def enter() -> T:
            namespaces.setns(self.fd, namespaces.CLONE_NEWNET)
            return work()

        return namespaces.in_new_thread(enter)

    def run(self, *commands: str) -> str:
        """Run commands in the namespace; their output. Several of ip are one process's."""
        lines = "".join(f"{each.removeprefix('ip ')}\n" for each in commands)
        if len(commands) > 1 and all(each.startswith("ip ") and each[3] != "-" for each in commands):
            commands = ("ip -batch -",)

        def work() -> str:
            outputs = []
            for command in commands:
                done = subprocess.run(
                    command.split(), input=lines, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{command}: {done.stderr}\n{lines}"
                outputs.append(done.stdout)
            return "".join(outputs)

        return self.inside(work)

    def sysctl(self, name: str, value: str) -> None:
        self.inside(lambda: Path("/proc/sys", name).write_text(value))

    def socket(self, kind: socket.SocketKind, protocol: int = 0, version: int = 4) -> socket.socket:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        sock = self.inside(lambda: socket.socket(family, kind, protocol))
        sock.setblocking(False)
        return sock


class Network:
    """client ── internet ── edge ── nodes (bridge) ── node, node, node."""

    def __init__(self) -> None:
        self.client, self.edge = Host(), Host()
        self.nodes = {address: Host() for address in NODES}
        self._close = contextlib.ExitStack()
        self._connections: list[Connection] = []
        self._others: list[Host] = []
        self._aside = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._aside.run_forever, name="health", daemon=True)
        self._thread.start()
        self.edge.sysctl("net/ipv4/ip_forward", "1")
        self.edge.sysctl("net/ipv6/conf/all/forwarding", "1")
        self.edge.sysctl("net/ipv4/conf/all/rp_filter", "0")
        self.edge.sysctl("net/ipv4/conf/default/rp_filter", "0")
        self.edge.run(
            "ip link add nodes type bridge mcast_snooping 0",
            "ip addr add 10.240.0.1/24 dev nodes",
            "ip addr add fd00:10:240::1/64 dev nodes nodad",
            "ip link set nodes up",
            f"ip link add internet type veth peer name eth0 netns {self.client.path}",
            "ip addr add 198.51.100.1/24 dev internet",
            "ip addr add 2001:db8:51::1/64 dev internet nodad",
            "ip link set internet up",
        )
        self.client.run(
            f"ip addr add {CLIENT}/24 dev eth0",
            f"ip addr add {CLIENT6}/64 dev eth0 nodad",
            "ip link set eth0 up",
            "ip route add default via 198.51.100.1",
            "ip route add default via 2001:db8:51::1",
        )
        for number, (address, node) in enumerate(self.nodes.items(), 1):
            self._plug(node, f"node-{number}", address)
            node.run(*(f"ip addr add {vip}/32 dev lo" for vip in VIPS))
            node.run(*(f"ip addr add {vip}/128 dev lo nodad" for vip in VIPS6))

    def add_host(self, name: str, address: IPv4Address) -> Host:
        """One more machine on the nodes' network."""
        host = Host()
        self._others.append(host)
        self._plug(host, name, address)
        return host

    def _plug(self, host: Host, name: str, address: IPv4Address) -> None:
        self.edge.run(
            f"ip link add {name} type veth peer name eth0 netns {host.path}",
            f"ip link set {name} master nodes up",
        )
        host.run(
            f"ip addr add {address}/24 dev eth0",
            f"ip addr add {ipv6(address)}/64 dev eth0 nodad",
            "ip link set eth0 up",
            "ip route add default via 10.240.0.1",
            "ip route add default via fd00:10:240::1",
        )

    async def serve(self) -> None:
        """Start a TCP and a UDP server on every node: they say which node they are and whom they see."""
        for address, node in self.nodes.items():
            for version, everywhere, vip in ((4, "0.0.0.0", VIPS[0]), (6, "::", VIPS6[0])):
                listener = node.socket(socket.SOCK_STREAM, version=version)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if version == 6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((everywhere, PORT))
                server = await asyncio.start_server(_echo(address), sock=listener)
                self._close.callback(server.close)
                datagrams = node.socket(socket.SOCK_DGRAM, version=version)
                datagrams.bind((str(vip), PORT))
                loop = asyncio.get_running_loop()
                loop.add_reader(datagrams, _answer, datagrams, address)
                self._close.callback(datagrams.close)
                self._close.callback(loop.remove_reader, datagrams)

    async def serve_health(self, node: IPv4Address, port: int) -> None:
        """Have the node pass the health check on this port, whatever the test itself waits for."""
        listener = self.nodes[node].socket(socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", port))
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(_well, sock=listener), self._aside)
        server = await asyncio.wrap_future(starting)
        self._close.callback(self._aside.call_soon_threadsafe, server.close)

    async def connect_in_vain(self, vip: IPAddress = VIPS[0], port: int = PORT) -> None:
        """Ask for a TCP connection of which nothing is to come. Raises AssertionError if something does.

        That isn't waited for: all nodes answer what is asked later, over the same links and further.
        """
        with self.client.socket(socket.SOCK_STREAM, version=vip.version) as sock:
            await self.in_vain(sock, vip, port)

    async def in_vain(self, sock: socket.socket, vip: IPAddress, port: int = PORT) -> None:
        """The same for a socket that the caller has, on the client or elsewhere."""
        with contextlib.suppress(BlockingIOError):
            sock.connect((str(vip), port))
        for node in self.nodes:
            await (await self.connect(node if vip.version == 4 else ipv6(node))).close()
        readable, writable, _ = select.select([sock], [sock], [], 0)
        assert not readable, vip
        assert not writable, vip

    async def works_all_but(self, connections: Sequence[Connection], *nodes: IPv4Address) -> bool:
        """Whether of these connections exactly those that came to the nodes are broken.

        That they are isn't waited for: all others answer what is asked later. So do all nodes themselves,
        where there are no others.
        """
        broken = [each for each in connections if each.node in nodes]
        others = [each for each in connections if each.node not in nodes]
        for each in broken:
            each.say()
        if not others:
            for node in self.nodes:
                await (await self.connect(node)).close()
        working = [await each.works() for each in others]
        return all(working) and not any([await each.heard() for each in broken])

    async def connect(self, vip: IPAddress = VIPS[0], port: int = PORT, source: int = 0) -> Connection:
        """Open a TCP connection, from this port if it matters. Raises OSError or TimeoutError."""
        sock = self.client.socket(socket.SOCK_STREAM, version=vip.version)
        try:
            sock.bind(("0.0.0.0" if vip.version == 4 else "::", source))
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(sock, (str(vip), port))
                reader, writer = await asyncio.open_connection(sock=sock)
                greeting = (await reader.readline()).decode().split()
        except BaseException:
            sock.close()
            raise
        connection = Connection(reader, writer, IPv4Address(greeting[0]), ip_address(greeting[1]))
        self._connections.append(connection)
        return connection

    async def connect_again(self, connection: Connection, vip: IPAddress) -> Connection:
        """Break a connection off, and open another one from its port."""
        port = connection.port
        await connection.abort()
        return await self.connect(vip, source=port)

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
        self._close.close()
        self._aside.call_soon_threadsafe(self._aside.stop)
        await asyncio.to_thread(self._thread.join)
        self._aside.close()
        for host in (self.client, self.edge, *self.nodes.values(), *self._others):
            host.close()


class Connection:
    """An open TCP connection: the node that has it, and the client's address that it sees."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        node: IPv4Address,
        client: IPAddress,
    ) -> None:
        self._reader, self._writer, self.node, self.client = reader, writer, node, client

    @property
    def port(self) -> int:
        """The client's."""
        return int(self._writer.get_extra_info("sockname")[1])

    async def abort(self) -> None:
        """Reset it, so that its port is free at once."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await self.close()

    async def works(self) -> bool:
        """Whether what is sent comes back. Of a connection that is to be broken: `works_all_but`."""
        self.say()
        return await self.heard(PATIENCE)

    def say(self) -> None:
        """Send what is to come back."""
        with contextlib.suppress(OSError):
            self._writer.write(_WORDS)

    async def heard(self, seconds: float = 0) -> bool:
        """Whether it has come back, or does in this time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.readline() == _WORDS
        except (OSError, TimeoutError):
            return False

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _new_namespace() -> int:
    namespaces.unshare(namespaces.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _echo(node: IPv4Address) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(f"{node} {writer.get_extra_info('peername')[0]}\n".encode())
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    return serve


async def _well(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
    writer.close()


def _answer(sock: socket.socket, node: IPv4Address) -> None:
    with contextlib.suppress(BlockingIOError):
        question, client = sock.recvfrom(2048)
        answer = f"{node} {client[0]}".encode()
        sock.sendto(answer.ljust(1400) if question == b"much" else answer, client)


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    network = Network()
    try:
        await network.serve()
        yield network
    finally:
        await network.close()


@pytest.fixture
async def control(network: Network, tmp_path: Path) -> AsyncIterator[Control]:
    control = Control(network, tmp_path)
    try:
        await control.until(control.listens)
        await control.until(lambda: control.kubectl("get", "--raw", "/readyz"))
        nodes = [
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"node-{number}"},
                "status": {
                    "addresses": [
                        {"type": "InternalIP", "address": str(each)} for each in (address, ipv6(address))
                    ]
                },
            }
            for number, address in enumerate(NODES, 1)
        ]
        control.create({"apiVersion": "v1", "kind": "List", "items": nodes})
        yield control
    finally:
        control.close()


@pytest.fixture
async def world(network: Network, control: Control) -> AsyncIterator[World]:
    try:
        haproxy.launcher(ImageStore(Path("/var/cache/wellhead/images")))
    except ImageNotFound:
        pytest.skip("needs `wellhead image build`")
    from tests.packets.cloud.proxied import World  # it needs this module

    world = World(network, control)
    for node in network.nodes:
        await network.serve_health(node, 10256)
    control.start_cloud()
    try:
        yield world
    finally:
        world.close()
