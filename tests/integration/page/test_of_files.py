"""A page of files: what is served, to whom, and how much of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.page.browser import Browser, page
from tests.patience import reached
from tests.unit.page import objects
from wellhead.page.guard import HEADERS
from wellhead.page.source import of_files
from wellhead.page.streams import MOST_STREAMS
from wellhead.paths.world import Decoded
from wellhead.snapshot.sources import NoSource


def manifests() -> list[dict[str, Any]]:
    pod = objects.pod("web-0", 1, 2, app="web")
    return [
        *(objects.node(number) for number in (1, 2)),
        pod,
        objects.service("web", 1, kind="LoadBalancer", vip="203.0.113.1"),
        objects.endpoint_slice("web", [pod]),
    ]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    file = tmp_path / "cluster.json"
    file.write_text("\n".join(map(json.dumps, manifests())))
    async with page(of_files([str(file)])) as browser:
        yield browser


async def test_it_predicts_and_neither_sends_nor_changes(browser: Browser) -> None:
    async with browser.follow() as followed:
        await followed.until(lambda it: it.scene)
        assert {"node/node-1", "pod/default/web-0", "service/default/web", "client"} <= followed.scene.keys()
        assert not followed.capabilities["send"]["can"]
        assert not followed.capabilities["change"]["can"]
        assert followed.capabilities["source"].startswith("files ")
    answer = await browser.post("/api/ask", {"target": "svc/web", "clients": ["outside"]})
    assert answer["report"]["ways"][0]["address"] == "203.0.113.1"
    assert answer["text"].startswith("outside → 203.0.113.1:80")
    edit = {"service": "default/web", "changes": {"externalTrafficPolicy": "Local"}}
    edited = await browser.post("/api/ask", {"target": "svc/web", "clients": ["outside"], "edit": edit})
    assert edited["differences"]
    matrix = await browser.get("/api/matrix")
    assert {row["service"] for row in matrix["rows"]} == {"default/web"}
    for path, body in (
        ("/api/send", {"client": "client", "target": "svc/web"}),
        (
            "/api/levers",
            {"lever": "external-traffic-policy", "object": "service/default/web", "value": "Local"},
        ),
        ("/api/lesson/nodeport", None),
    ):
        status, told = await browser.call("POST", path, body)
        assert (status, told["message"].split(":")[0]) == (403, "these are files")


async def test_the_command_of_a_lever_can_always_be_asked_for(browser: Browser) -> None:
    pull = {
        "lever": "external-traffic-policy",
        "object": "service/default/web",
        "value": "Local",
        "try": True,
    }
    told = await browser.post("/api/levers", pull)
    assert told["command"].startswith("kubectl -n default patch service web")
    assert not told["done"]
    assert "kill" not in [each["id"] for each in await browser.get("/api/levers")]


@pytest.mark.parametrize("path", ["/api/scene", "/api/history", "/api/matrix", "/api/lesson", "/api/levers"])
async def test_without_the_token_nothing_is_told(browser: Browser, path: str) -> None:
    for wrong in ("", "Bearer wrong", f"Basic {browser.guard.token}"):
        status, told = await browser.call("GET", path, headers={"Authorization": wrong})
        assert status == 401
        assert "token" in told["message"]


async def test_nobody_comes_by_another_name_or_from_another_page(browser: Browser) -> None:
    port = browser.guard.port
    for headers in (
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
    ):
        for path in ("/", "/api/history"):
            status, _ = await browser.call("GET", path, headers=headers)
            assert status == 403
    status, _ = await browser.call("GET", "/api/history", headers={"Origin": browser.guard.origin})
    assert status == 200


async def test_every_answer_says_what_may_run_in_it(browser: Browser) -> None:
    for path in ("/", "/nothing", "/api/history", "/api/nothing"):
        async with browser.session.get(browser.guard.origin + path) as response:
            assert {name: response.headers[name] for name in HEADERS} == dict(HEADERS)
            assert "aiohttp" not in str(response.headers)
    async with browser.follow() as followed:
        assert followed.response.headers["Cache-Control"] == "no-store"
        assert "Content-Security-Policy" in followed.response.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"target": 3}', 400),
        (b'{"target": "svc/web", "unknown": 1}', 400),
        (b'{"target": "svc/nothing"}', 400),
        (b'{"target": "' + b"x" * 70_000 + b'"}', 413),
        (b'{"target": "\xff"}', 400),
        (b'{"target": "svc/web", "clients": ["\\u0000"]}', 400),
    ],
)
async def test_what_is_no_question_is_refused_in_a_sentence(
    browser: Browser, body: bytes, status: int
) -> None:
    found, told = await browser.call("POST", "/api/ask", body)
    assert found == status
    assert told["message"]


async def test_there_is_nothing_else(browser: Browser) -> None:
    for method, path, status in (
        ("GET", "/api/nothing", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/%2e%2e%2fetc%2fpasswd", 404),
        ("GET", "/static/page.js", 404),
        ("POST", "/", 405),
        ("GET", "/api/ask", 405),
        ("GET", "/api/history/1", 404),
        ("GET", "/api/history/1.exe", 404),
    ):
        found, told = await browser.call(method, path)
        assert (path, found) == (path, status)
        assert told["message"]


async def test_a_thousand_pages_are_refused_politely(browser: Browser) -> None:
    headers = {"Authorization": f"Bearer {browser.guard.token}"}
    url = f"{browser.guard.origin}/api/scene"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        opened = []
        for _ in range(MOST_STREAMS):
            opened.append(await session.get(url, headers=headers))
            assert opened[-1].status == 200
        for _ in range(20):
            async with session.get(url, headers=headers) as refused:
                assert refused.status == 503
                assert refused.headers["Retry-After"]
                assert "close one" in (await refused.json())["message"]
        for each in opened:
            each.close()
    await reached(lambda: len(browser.model.streams), lambda found: found == 0)
    async with browser.follow() as followed:
        await followed.until(lambda it: it.scene)


async def test_a_reader_that_goes_is_forgotten(browser: Browser) -> None:
    async with browser.follow() as followed:
        await followed.next()
        assert len(browser.model.streams) == 1
    await reached(lambda: len(browser.model.streams), lambda found: found == 0)


async def test_a_reader_that_reads_nothing_holds_up_nobody(browser: Browser) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", browser.guard.port)
    headers = f"Host: 127.0.0.1:{browser.guard.port}\r\nAuthorization: Bearer {browser.guard.token}\r\n"
    writer.write(f"GET /api/scene HTTP/1.1\r\n{headers}\r\n".encode())
    await reached(lambda: len(browser.model.streams), lambda found: found == 1)
    async with browser.follow() as followed:
        await followed.until(lambda it: it.scene)
        for number in range(300):
            browser.model.scene.put(Decoded(objects.pod(f"pod-{number}", 1, 2)))
            browser.model.streams.changed(browser.model.scene.changes())
        await followed.until(lambda it: "pod/default/pod-299" in it.scene)
    writer.transport.abort()
    await reached(lambda: len(browser.model.streams), lambda found: found == 0)


async def test_files_that_cannot_be_read_say_which(tmp_path: Path) -> None:
    with pytest.raises(NoSource, match="nothing"):
        async with page(of_files([str(tmp_path / "nothing.yaml")])):
            pass
