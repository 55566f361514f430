"""A small request can't cause much work, and while a large one is refused, others are answered."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import CONFIGMAPS, configmap
from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE, reached
from wellhead.api.limits import Limits

_LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 9)) for letter in b"bcdefghij"
)
_LIST = b"a: [" + b"a," * 1_500_000 + b"]"


@pytest.mark.parametrize("text", [_LAUGHS, _LIST])
async def test_yaml_that_is_or_becomes_too_much_is_refused(admin: User, text: bytes) -> None:
    answer = await admin.call("POST", CONFIGMAPS, text, content_type="application/yaml")
    assert answer.expect(413)["reason"] == "RequestEntityTooLarge"


async def test_others_are_answered_while_yaml_is_read(admin: User) -> None:

    async def hostile() -> None:
        for _ in range(3):
            (await admin.call("POST", CONFIGMAPS, _LIST, content_type="application/yaml")).expect(413)

    hostiles = [asyncio.create_task(hostile()) for _ in range(3)]
    answered = 0
    while not all(task.done() for task in hostiles):
        async with asyncio.timeout(PATIENCE):
            await admin.get(CONFIGMAPS)
        answered += 1
    await asyncio.gather(*hostiles)
    assert answered > 3


async def test_a_body_may_have_three_megabytes(admin: User) -> None:
    body = b'{"data":"' + b"x" * (3 * 1024 * 1024) + b'"}'
    answer = (await admin.call("POST", CONFIGMAPS, body)).expect(413)
    assert answer["message"] == "Request entity too large: limit is 3145728"


async def test_long_selectors_and_tokens_are_read(admin: User) -> None:
    selector = f"a in ({','.join(f'value-{number}' for number in range(4000))})"
    assert (await admin.get(CONFIGMAPS, labelSelector=selector))["items"] == []
    token = {"Authorization": f"Bearer {'x' * 30_000}"}
    assert (await admin.call("GET", CONFIGMAPS, headers=token)).code == 200  # who has a certificate, too


async def test_twenty_copies_of_a_json_patch_are_refused(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("copied", data="x" * 100))
    copies = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(30)]
    answer = await admin.call(
        "PATCH", f"{CONFIGMAPS}/copied", copies, content_type="application/json-patch+json"
    )
    refused = answer.expect(422)
    assert refused["reason"] == "Invalid"
    assert "accumulated size increase of copy" in refused["message"]


_TIGHT = Limits(
    request_body=20_000,
    bodies_together=30_000,
    body_values=20,
    nesting=8,
    object_bytes=16_000,  # the default roles have up to 10,000
    selector_terms=2,
    patch_operations=3,
    patch_copied_bytes=50,
    watches=3,
    user_watches=2,
    address_connections=6,
    connections=6,
)


@pytest.fixture
async def tight(pki: Pki, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with serve(pki, tmp_path, limits=_TIGHT) as cluster:
        yield cluster


@pytest.fixture
async def impatient(pki: Pki, tmp_path: Path) -> AsyncIterator[Cluster]:
    """One that gives up on bodies soon, and on nothing else of a test."""
    async with serve(pki, tmp_path, limits=replace(_TIGHT, request_seconds=2.0)) as cluster:
        yield cluster


async def _refusals(user: User) -> dict[str, int]:
    """The limits that something was above, and how often."""
    text = (await user.call("GET", "/metrics")).expect(200)
    found = re.findall(r'apiserver_refused_requests_total\{limit="([^"]*)"\} (\d+)', text)
    return {name: int(count) for name, count in found if count != "0"}


_COPY = {"op": "copy", "from": "/data", "path": "/data/x"}


@pytest.mark.parametrize(
    ("limit", "code", "method", "path", "body", "content_type"),
    [
        ("request-body", 413, "POST", CONFIGMAPS, {"data": {"a": "x" * 40_000}}, "application/json"),
        ("body-values", 413, "POST", CONFIGMAPS, {"a": [1] * 30}, "application/json"),
        ("body-values", 413, "POST", CONFIGMAPS, b"[" + b"a," * 50 + b"]", "application/yaml"),
        ("nesting", 400, "POST", CONFIGMAPS, b"[" * 9 + b"]" * 9, "application/json"),
        ("nesting", 400, "POST", CONFIGMAPS, b"[" * 9 + b"]" * 9, "application/yaml"),
        ("object-bytes", 413, "POST", CONFIGMAPS, configmap("b", x="x" * 15_900), "application/json"),
        ("selector-terms", 400, "GET", CONFIGMAPS + "?labelSelector=a,b,c", None, ""),
        ("selector-terms", 400, "DELETE", CONFIGMAPS + "?labelSelector=a,b,c", None, ""),
        ("patch-operations", 413, "PATCH", f"{CONFIGMAPS}/a", [_COPY] * 4, "application/json-patch+json"),
        ("patch-copied-bytes", 422, "PATCH", f"{CONFIGMAPS}/a", [_COPY] * 3, "application/json-patch+json"),
    ],
)
async def test_each_bound_is_configuration_and_counts(
    tight: Cluster, limit: str, code: int, method: str, path: str, body: object, content_type: str
) -> None:
    admin = await tight.user()
    await admin.create(CONFIGMAPS, configmap("a", x="y" * 20))
    answer = await admin.call(method, path, body, content_type=content_type)
    assert answer.code == code, answer.body
    assert await _refusals(admin) == {limit: 1}


async def test_watches_are_bounded_for_one_user_and_for_all(tight: Cluster) -> None:
    admin, proxy = await tight.user(), await tight.user("kube-proxy")
    async with admin.watch(CONFIGMAPS), admin.watch(CONFIGMAPS):
        third = await admin.call("GET", CONFIGMAPS, query={"watch": "1"})
        assert third.expect(429)["reason"] == "TooManyRequests"
        async with proxy.watch("/api/v1/services"):
            fourth = await proxy.call("GET", "/api/v1/services", query={"watch": "1"})
            assert fourth.headers["Retry-After"] == "1"
            fourth.expect(429)
    assert await _refusals(admin) == {"user-watches": 1, "watches": 1}


@pytest.mark.parametrize(
    ("limit", "limits"), [("connections", {}), ("address-connections", {"connections": 9})]
)
async def test_connections_are_bounded(pki: Pki, tmp_path: Path, limit: str, limits: dict[str, int]) -> None:
    bounds = {"connections": 6, "address_connections": 6} | limits
    async with serve(pki, tmp_path, limits=Limits(**bounds)) as cluster, contextlib.AsyncExitStack() as stack:
        admin = await cluster.user()
        await admin.get("/version")  # its connection stays open
        for _ in range(8):
            with contextlib.suppress(ConnectionError):
                await stack.enter_async_context(_connection(cluster))
        # The server's own probe may hold a connection, too.
        assert (await _refusals(admin))[limit] in (3, 4)


async def test_who_connects_and_says_nothing_counts(pki: Pki, tmp_path: Path) -> None:
    limits = Limits(connections=6)
    async with serve(pki, tmp_path, limits=limits) as cluster, contextlib.AsyncExitStack() as stack:
        admin = await cluster.user()
        await admin.get("/version")  # its connection stays open
        address = urlsplit(cluster.url)
        for _ in range(8):
            connection = stack.enter_context(socket.socket())
            connection.connect((address.hostname, address.port))
        # The server's own probe may hold a connection, too.
        await reached(lambda: _refusals(admin), lambda refused: refused.get("connections", 0) >= 3)


@contextlib.asynccontextmanager
async def _connection(
    cluster: Cluster,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(cluster.url)
    context = cluster.pki.client_context("admin")
    reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def _head(length: int) -> bytes:
    return f"POST {CONFIGMAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


async def test_a_body_that_never_ends_is_given_up(impatient: Cluster) -> None:
    async with _connection(impatient) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(_head(500) + b"{")
        assert (await reader.readline()).startswith(b"HTTP/1.1 504")
    assert await _refusals(await impatient.user()) == {"request-seconds": 1}


async def test_bodies_are_bounded_together(impatient: Cluster) -> None:
    async with _connection(impatient) as one, _connection(impatient) as other, asyncio.timeout(PATIENCE):
        for _, writer in (one, other):
            writer.write(_head(18_000) + b"x" * 17_999)
        answers = sorted([await reader.readline() for reader, _ in (one, other)])
    # The other one is read on, and waits for its last byte.
    assert [answer.split(b" ")[1] for answer in answers] == [b"429", b"504"]
