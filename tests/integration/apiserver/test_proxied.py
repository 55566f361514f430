"""What passes the API server on its way to pods and Services: pages, redirects, upgrades."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.integration.apiserver.cluster import User
from tests.integration.apiserver.objects import PODS, pod, service_account
from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE
from wellhead.apiserver.subresources import proxy

PAGE = '<a href="/there">x</a><a href="here">y</a>'


@pytest.fixture
async def behind(admin: User, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The path of a pod whose program answers here, without a slash at its end."""
    monkeypatch.setattr(proxy, "check_address", lambda _: None)

    async def answer(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/page":
                headers = {"Access-Control-Allow-Origin": "*"}
                return web.Response(text=PAGE, content_type="text/html", headers=headers)
            case "/packed":
                headers = {"Content-Encoding": "gzip"}
                packed = gzip.compress(PAGE.encode())
                return web.Response(body=packed, content_type="text/html", headers=headers)
            case "/long":
                return web.Response(text=PAGE + " " * (5 << 20), content_type="text/html")
            case "/moved":
                return web.Response(status=302, headers={"Location": "/elsewhere?x=1"})
        found = ("X-Forwarded-For", "X-Forwarded-Uri", "Host", "Accept-Encoding", "Authorization")
        said = {name: request.headers.getall(name) for name in found if name in request.headers}
        return web.json_response({"method": request.method, "path": request.raw_path, "headers": said})

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "Upgrade: shout" not in head:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n")
        else:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\n\r\n")
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
        writer.close()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upgrading = await asyncio.start_server(upgrade, "127.0.0.1", 0)
    await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
    await admin.create(PODS, pod("a"))
    await admin.patch(f"{PODS}/a/status", {"status": {"podIP": "127.0.0.1"}})
    ports = runner.addresses[0][1], upgrading.sockets[0].getsockname()[1]
    yield f"{PODS}/a:{ports[0]}/proxy {PODS}/a:{ports[1]}/proxy"
    upgrading.close()
    await runner.cleanup()


async def test_a_path_without_a_slash_at_its_end_leads_to_one_with_it(admin: User, behind: str) -> None:
    path = behind.split()[0]
    for method in ("GET", "HEAD"):
        async with admin.session.request(method, f"{admin.url}{path}?a=b", allow_redirects=False) as moved:
            assert (moved.status, moved.headers["Location"]) == (301, f"{path}/?a=b")
    assert (await admin.call("POST", path, {})).expect(200)["path"] == "/"


async def test_every_method_goes_through(admin: User, behind: str) -> None:
    path = behind.split()[0]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        said = (await admin.call(method, f"{path}/x%2Fy?a=b")).expect(200)
        assert (said["method"], said["path"]) == (method, "/x%2Fy?a=b")


async def test_the_clients_address_is_the_last_that_a_request_came_from(admin: User, behind: str) -> None:
    path = behind.split()[0]
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Uri": "/lie", "Host": "example.org"}
    said = (await admin.call("GET", f"{path}/x", headers=headers)).expect(200)["headers"]
    assert said["X-Forwarded-For"] == ["192.0.2.1, 127.0.0.1"]
    assert said["X-Forwarded-Uri"] == [f"{path}/x"]
    assert said["Host"] == ["example.org"]


async def test_links_and_redirects_lead_through_the_proxy(admin: User, behind: str) -> None:
    path = behind.split()[0]
    rewritten = PAGE.replace('"/there"', f'"{path}/there"')
    for page in ("page", "packed"):
        answer = await admin.call("GET", f"{path}/{page}")
        assert answer.expect(200) == rewritten
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await admin.call("GET", f"{path}/long")).expect(200) == PAGE + " " * (5 << 20)
    async with admin.session.get(f"{admin.url}{path}/moved", allow_redirects=False) as moved:
        assert (moved.status, moved.headers["Location"]) == (302, f"{path}/elsewhere?x=1")


async def test_an_upgrade_is_passed_on_with_its_connection(admin: User, behind: str, pki: Pki) -> None:
    path = behind.split()[1]
    for protocol, status in (("shout", "101"), ("whisper", "400")):
        context: ssl.SSLContext = pki.client_context("admin")
        port = int(admin.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        head = f"GET {path}/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert answer.split()[1] == status
            if status == "101":
                assert "Upgrade: shout" in answer
                for line in (b"hello\n", b"x" * 40_000 + b"\n"):
                    writer.write(line)
                    assert await reader.readline() == line.upper()
        writer.close()
