"""The server on real sockets, and the resolvers that it asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rrset
import pytest

from tests.unit.dns.world import endpoint, endpoint_slice, external, responder, service, told
from wellhead.api.meta import Obj
from wellhead.dns.forwarding import Forwarder
from wellhead.dns.metrics import Metrics
from wellhead.dns.responder import Responder
from wellhead.dns.server import MOST_OF_ADDRESS, Server
from wellhead.linux.sockets import bind_udp_and_tcp

_HOST = "127.0.0.1"
_WEB = "web.shop.svc.cluster.local"


@asynccontextmanager
async def served(asked: Responder, upstreams: tuple[int, ...] = (), host: str = _HOST) -> AsyncIterator[int]:
    """A running server's port. Its metrics are checked to be readable afterwards."""
    metrics = Metrics("dns://:53")
    forwarder = Forwarder([(_HOST, each) for each in upstreams], metrics) if upstreams else None
    sockets = bind_udp_and_tcp([ip_address(host)], 0)
    task = asyncio.ensure_future(Server(sockets, asked, forwarder, metrics).run())
    try:
        yield sockets[0].getsockname()[1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for each in sockets:
            each.close()
    assert b"coredns_dns_requests_total" in metrics.text()


class Upstream(asyncio.DatagramProtocol):
    """A resolver that has one address for every name."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query, recursion_available=True)
        self.asked.append(str(query.question[0].name))
        reply.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7")]
        self._transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[Upstream, int]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Upstream, local_addr=(_HOST, 0))
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def shop(*objects: Obj, forwards: bool = False) -> Responder:
    return responder(service("web", "10.0.3.7"), *objects, forwards=forwards)


async def udp(port: int, name: str, type: str = "A", host: str = _HOST) -> dns.message.Message:
    return await dns.asyncquery.udp(dns.message.make_query(name, type), host, timeout=20, port=port)


@pytest.mark.parametrize("host", [_HOST, "::1"])
async def test_udp_and_tcp_answer_alike(host: str) -> None:
    async with served(shop(), host=host) as port:
        query = dns.message.make_query(_WEB, "A")
        by_udp = await dns.asyncquery.udp(query, host, timeout=20, port=port)
        by_tcp = await dns.asyncquery.tcp(query, host, timeout=20, port=port)
    assert told(by_udp) == told(by_tcp) == ("NOERROR", ["A 10.0.3.7"])


async def test_a_client_that_hears_a_part_gets_the_whole_by_tcp() -> None:
    many = [endpoint(f"10.244.1.{number}") for number in range(200)]
    async with served(shop(service("db"), endpoint_slice("db", *many))) as port:
        query = dns.message.make_query("db.shop.svc.cluster.local", "A")
        reply, was_tcp = await dns.asyncquery.udp_with_fallback(query, _HOST, 20, port)
    assert was_tcp
    assert len(told(reply)[1]) == 200


async def test_a_connection_serves_many_questions_in_their_order() -> None:
    async with served(shop()) as port:
        reader, writer = await asyncio.open_connection(_HOST, port)
        for number in (1, 2, 3):
            query = dns.message.make_query(_WEB, "A", id=number).to_wire()
            writer.write(len(query).to_bytes(2, "big") + query)
        for number in (1, 2, 3):
            length = int.from_bytes(await reader.readexactly(2), "big")
            assert dns.message.from_wire(await reader.readexactly(length)).id == number
        writer.close()


async def test_no_client_takes_all_connections() -> None:
    query = dns.message.make_query(_WEB, "A").to_wire()

    async def asked(client: str) -> bytes:
        reader, writer = await asyncio.open_connection(_HOST, port, local_addr=(client, 0))
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            return await reader.read(1)
        except ConnectionError:  # the connection's end may be told as a reset
            return b""
        finally:
            writer.close()

    async with served(shop()) as port:
        held = [await asyncio.open_connection(_HOST, port) for _ in range(MOST_OF_ADDRESS)]
        assert await asked("127.0.0.1") == b""
        assert await asked("127.0.0.2") != b""
        for _, writer in held:
            writer.close()


async def test_nonsense_is_survived() -> None:
    async with served(shop()) as port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for nonsense in (b"", b"x", bytes(12), b"\xff" * 600, bytes(60000)):
                client.sendto(nonsense, (_HOST, port))
        reader, writer = await asyncio.open_connection(_HOST, port)
        writer.write(b"\x00\x05hello")
        assert await reader.read() == b""
        writer.close()
        assert told(await udp(port, _WEB)) == ("NOERROR", ["A 10.0.3.7"])


async def test_queries_that_came_before_the_server_wait_for_it() -> None:
    sockets = bind_udp_and_tcp([ip_address(_HOST)], 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, sockets[0], sockets[1]:
        client.setblocking(False)
        query = dns.message.make_query(_WEB, "A")
        client.sendto(query.to_wire(), sockets[0].getsockname())
        task = asyncio.ensure_future(Server(sockets, shop(), None, Metrics("")).run())
        reply = await asyncio.get_running_loop().sock_recv(client, 512)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told(dns.message.from_wire(reply)) == ("NOERROR", ["A 10.0.3.7"])


async def test_offline_other_names_do_not_exist() -> None:
    async with served(shop()) as port:
        assert (await udp(port, "www.example.com")).rcode().name == "NXDOMAIN"


async def test_other_names_are_asked_for_elsewhere_and_ours_never() -> None:
    async with upstream() as (resolver, its_port), served(shop(forwards=True), (its_port,)) as port:
        reply = await udp(port, "WWW.example.com")
        assert told(reply) == ("NOERROR", ["A 192.0.2.7"])
        assert str(reply.question[0].name) == "WWW.example.com."
        assert (await udp(port, "none.shop.svc.cluster.local")).rcode().name == "NXDOMAIN"
        assert resolver.asked == ["WWW.example.com."]


async def test_an_external_name_is_followed() -> None:
    made = shop(external("docs", "docs.example.com"), forwards=True)
    async with upstream() as (_, its_port), served(made, (its_port,)) as port:
        reply = await udp(port, "docs.shop.svc.cluster.local")
    assert told(reply) == ("NOERROR", ["A 192.0.2.7", "CNAME docs.example.com."])


async def test_when_one_resolver_is_away_the_next_is_asked() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((_HOST, 0))
        nobody = closed.getsockname()[1]
    async with upstream() as (_, its_port), served(shop(forwards=True), (nobody, its_port)) as port:
        assert told(await udp(port, "www.example.com")) == ("NOERROR", ["A 192.0.2.7"])


async def test_when_nobody_answers_the_client_hears_that() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((_HOST, 0))
        nobody = closed.getsockname()[1]
    async with served(shop(forwards=True), (nobody,)) as port:
        reply = await udp(port, "www.example.com")
        assert reply.rcode().name == "SERVFAIL"
        assert reply.flags & dns.flags.RA
