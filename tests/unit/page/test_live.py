"""A cluster that is followed: credentials that expire are asked for anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.patience import pass_time
from wellhead.api.errors import ApiError
from wellhead.api.resources import PODS
from wellhead.client.connection import Connection
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.page.following import Expired, PageClient, Refused, Relook
from wellhead.page.live import Live
from wellhead.page.scene import Scene
from wellhead.page.store import Store
from wellhead.page.values import Client, State


class Expiring(Live):
    """Follows with a credential that is good once."""

    def __init__(self, connections: list[Connection | Exception], states: list[State]) -> None:
        store = Store(is_cluster=True)
        self.used: list[str] = []

        def connect() -> Connection:
            found = connections.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        scene = Scene(store, Client(name="outside", asks="outside"))
        super().__init__(connect, store, scene, changed=lambda: None, stated=states.append)

    async def _follow(self, connection: Connection, ready: asyncio.Event) -> None:
        self.used.append(connection.server)
        ready.set()
        if connection.server == "good":
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fail())

    async def _fail(self) -> None:
        raise Expired("Unauthorized")


async def test_credentials_that_expired_are_asked_for_anew() -> None:
    states: list[State] = []
    live = Expiring([Connection("good")], states)
    running = asyncio.create_task(live.run(Connection("expired"), asyncio.Event()))
    while live.used != ["expired", "good"]:
        await pass_time(1)
    assert states == [State(connected=False, why="the API server doesn't know us any more: Unauthorized")]
    running.cancel()


async def test_a_credential_that_expires_once_an_hour_is_asked_for_at_once() -> None:
    now = asyncio.get_running_loop().time
    delays: list[float] = []

    class Hourly(Expiring):
        async def _follow(self, connection: Connection, ready: asyncio.Event) -> None:
            if self.used:
                delays.append(now() - ended[-1])
            self.used.append(connection.server)
            await pass_time(3600)
            ended.append(now())
            await super()._follow(connection, ready)

    ended: list[float] = []
    live = Hourly([Connection("expired") for _ in range(9)], [])
    running = asyncio.create_task(live.run(Connection("expired"), asyncio.Event()))
    while len(delays) < 8:
        await pass_time(3600)
    running.cancel()
    assert max(delays) < 5.0


async def test_a_credential_program_that_fails_is_asked_again() -> None:
    states: list[State] = []
    live = Expiring([KubeconfigError("the credential program gave none"), Connection("good")], states)
    running = asyncio.create_task(live.run(Connection("expired"), asyncio.Event()))
    while live.used[-1:] != ["good"]:
        await pass_time(1)
    assert State(connected=False, why="the credential program gave none") in states
    running.cancel()


@pytest.mark.parametrize(
    ("code", "reason", "raised"),
    [
        (401, "Unauthorized", Expired),
        (403, "Forbidden", Refused),
        (404, "NotFound", Refused),
        (500, "", ApiError),
    ],
)
async def test_what_the_server_refuses_ends_following_and_what_fails_does_not(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, raised: type[Exception]
) -> None:
    async def refuse(*_: Any, **__: Any) -> bytes:
        raise ApiError.from_status({"code": code, "reason": reason, "message": reason, "status": "Failure"})

    client = PageClient(Connection("https://192.0.2.1"), "test")
    monkeypatch.setattr(client, "_answer", refuse)
    with pytest.raises(raised):
        await client.listing(PODS)


async def test_a_reason_to_look_again_that_comes_meanwhile_is_not_lost() -> None:
    relook = Relook()
    before = relook.reasons
    relook.now()  # while somebody looks
    looking = asyncio.create_task(relook.wait(before))
    await pass_time(5)
    assert looking.done()
    looking = asyncio.create_task(relook.wait(relook.reasons))
    await pass_time(50)
    assert not looking.done()
    relook.now()
    await pass_time(5)
    assert looking.done()
