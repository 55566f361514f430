"""Watches as the messages of a WebSocket, and who a client is by a subprotocol, as browsers say it."""

from __future__ import annotations

import asyncio
import base64

import aiohttp
import msgspec
import pytest

from tests.integration.apiserver.cluster import Cluster, User
from tests.integration.apiserver.objects import CONFIGMAPS, configmap, service_account
from wellhead.api.meta import Obj

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
SECONDS = 60


async def event(socket: aiohttp.ClientWebSocketResponse) -> tuple[str, str]:
    message = await socket.receive(timeout=SECONDS)
    assert message.type is aiohttp.WSMsgType.TEXT
    found = msgspec.json.decode(message.data)
    return found["type"], found["object"]["metadata"]["name"]


def as_protocol(token: str) -> str:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return f"base64url.bearer.authorization.k8s.io.{encoded}"


async def viewer(admin: User) -> str:
    """A token of an account that may do anything in the namespace."""
    await admin.create(ACCOUNTS, service_account("viewer"))
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "viewer", "namespace": "default"}
    binding = {"metadata": {"name": "viewer"}, "roleRef": role, "subjects": [subject]}
    await admin.create(BINDINGS, binding)
    made: Obj = await admin.create(f"{ACCOUNTS}/viewer/token", {"spec": {}})
    token: str = made["status"]["token"]
    return token


async def test_events_are_messages(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    async with admin.session.ws_connect(f"{admin.url}{CONFIGMAPS}?watch=1") as socket:
        assert await event(socket) == ("ADDED", "a")
        await admin.create(CONFIGMAPS, configmap("b"))
        assert await event(socket) == ("ADDED", "b")
        await admin.delete(f"{CONFIGMAPS}/b")
        assert await event(socket) == ("DELETED", "b")


async def test_its_end_is_the_sockets(admin: User) -> None:
    url = f"{admin.url}{CONFIGMAPS}?watch=1&timeoutSeconds=1&resourceVersion=1"
    async with admin.session.ws_connect(url) as socket:
        async with asyncio.timeout(SECONDS):
            messages = [message async for message in socket]
    assert all(message.type is aiohttp.WSMsgType.TEXT for message in messages)
    assert socket.close_code == aiohttp.WSCloseCode.OK


async def test_a_token_may_be_a_protocol(cluster: Cluster, admin: User) -> None:
    token = await viewer(admin)
    await admin.create(CONFIGMAPS, configmap("a"))
    nobody = await cluster.user(None)
    url = f"{nobody.url}{CONFIGMAPS}?watch=1"
    async with nobody.session.ws_connect(url, protocols=[as_protocol(token), "pears"]) as socket:
        assert socket.protocol == "pears"
        assert (await event(socket))[0] == "ADDED"


@pytest.mark.parametrize(
    "protocols",
    [
        [as_protocol("x"), "pears"],
        [as_protocol("x")],
        [as_protocol("x"), as_protocol("y"), "pears"],
        ["base64url.bearer.authorization.k8s.io.%%%", "pears"],
    ],
    ids=["no token", "alone", "two", "not base64"],
)
async def test_a_protocol_that_is_no_token(cluster: Cluster, protocols: list[str]) -> None:
    nobody = await cluster.user(None)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await nobody.session.ws_connect(f"{nobody.url}{CONFIGMAPS}?watch=1", protocols=protocols)
    assert refusal.value.status == 401
