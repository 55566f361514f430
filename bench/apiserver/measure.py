"""What the API server does in a second, what that costs it, and what it needs of memory."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.apiserver.objects import config_map, service, slice_of, webhook
from bench.apiserver.server import STORAGES, USER, Server, alone
from bench.measure import Result, median
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import CONFIGMAPS, ENDPOINTSLICES, RESOURCES, SERVICES
from wellhead.client.connection import load
from wellhead.client.rest import Client

_CLIENTS, _AT_ONCE = 4, 8
_CREATES = 1000
_MANY = 10_000
_LISTS = 5
_APPLIES = 1000
_WATCHERS, _CHANGES = 100, 100
_ROUNDS, _A_ROUND = 5, 500
_KINDS = {each.kind: each for each in RESOURCES}


class _Client(Client):
    """One that can apply, and leave what it receives undecoded."""

    async def receive(self, path: str) -> bytes:
        return await self._answer("GET", path, query={"resourceVersion": "0"})

    async def apply(self, resource: Resource, name: str, body: Obj) -> None:
        await self._answer(
            "PATCH",
            resource.path("default", name),
            query={"fieldManager": "wellhead-bench"},
            data=msgspec.json.encode(body),
            content_type="application/apply-patch+yaml",
        )


Work = Callable[[_Client, int], Awaitable[Any]]


def measure(doing: Callable[[str], None] = lambda what: None) -> list[Result]:
    """All rows. Says what it is `doing`."""
    found: list[Result] = []
    for storage in STORAGES:
        doing(f"the API server, objects in {storage}")
        with alone(storage) as server:
            found += asyncio.run(_rows(server, storage))
    return found


async def _rows(server: Server, storage: str) -> list[Result]:
    start = server.pss()
    async with _clients(server.admin) as admins:
        took, cpu = await _all(server, admins, 2 * _CREATES, _create_pair)
        creates = f"Services and slices from {_CLIENTS * _AT_ONCE} tasks"
        rows = [
            Result("creates", 2 * _CREATES / took, "1/s", f"{creates}; durable but in memory", case=storage),
            Result("CPU of a create", cpu * 1e6, "µs", "user and system time of the server", case=storage),
        ]
        took, _ = await _all(server, admins, _APPLIES, _apply)
        rows.append(Result("applies", _APPLIES / took, "1/s", "server-side, to 100 ConfigMaps", case=storage))
        if storage == "SQLite":
            rows.append(Result("PSS at the start", start, "MiB", "nothing shared with others", case=storage))
            rows += await _with_many(server, admins, storage)
        if storage == "memory":
            rows += await _compared(server, admins, storage)
        return rows


async def _with_many(server: Server, admins: list[_Client], storage: str) -> list[Result]:
    await _all(server, admins, 2 * (_MANY - _CREATES), _create_pair)
    many = f"{_MANY:,} Services and as many slices"
    rows = [Result("PSS with 10,000", server.pss(), "MiB", many, case=storage)]
    seconds = []
    for _ in range(_LISTS):
        start = time.perf_counter()
        await admins[0].receive(SERVICES.path(None))
        seconds.append(time.perf_counter() - start)
    return [
        *rows,
        median("list of 10,000", seconds, "s", "Services, received, from the server's cache", storage),
        await _watched(admins[0], storage),
    ]


async def _watched(client: Client, storage: str) -> Result:
    """How long after a change was sent each watcher has it."""
    created = await client.create(CONFIGMAPS, config_map("watched"))
    late: list[float] = []
    sent, missing, all_know = 0.0, 0, asyncio.Event()

    async def watch(opened: Callable[[], None]) -> None:
        nonlocal missing
        version = created["metadata"]["resourceVersion"]
        async for event in client.watch(CONFIGMAPS, "default", resource_version=version, on_open=opened):
            if event.type == "MODIFIED":
                late.append(time.perf_counter() - sent)
                missing -= 1
                if not missing:
                    all_know.set()

    open_ = asyncio.Semaphore(0)
    watching = [asyncio.create_task(watch(open_.release)) for _ in range(_WATCHERS)]
    for _ in watching:
        await open_.acquire()
    for number in range(1, _CHANGES + 1):
        missing, sent = _WATCHERS, time.perf_counter()
        all_know.clear()
        await client.patch(CONFIGMAPS, "watched", {"data": {"number": str(number)}}, "default")
        await all_know.wait()
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    how = f"from sending it to each of {_WATCHERS} watches of one client process"
    return Result("a change, p99", statistics.quantiles(late, n=100)[98] * 1000, "ms", how, case=storage)


async def _compared(server: Server, admins: list[_Client], storage: str) -> list[Result]:
    """CPU of creates that have nothing to do with a webhook, or are allowed by a role, beside plain ones."""
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
        "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
    }
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    await admins[0].create(_KINDS["ClusterRole"], {"metadata": {"name": USER}, "rules": [rule]})
    await admins[0].create(_KINDS["ClusterRoleBinding"], binding)
    webhooks = _KINDS["ValidatingWebhookConfiguration"]
    numbers = itertools.count()

    async def create(client: Client, _: int) -> None:
        await client.create(CONFIGMAPS, config_map(f"compared-{next(numbers)}"))

    by_role, beside = [], []
    async with _clients(server.user) as users:
        await _all(server, admins, _A_ROUND, create)
        for _ in range(_ROUNDS):
            _, plain = await _all(server, admins, _A_ROUND, create)
            _, allowed = await _all(server, users, _A_ROUND, create)
            await admins[0].create(webhooks, webhook(USER))
            _, hooked = await _all(server, admins, _A_ROUND, create)
            await admins[0].delete(webhooks, USER)
            by_role.append(allowed / plain)
            beside.append(hooked / plain)
    how = "CPU of the server for ConfigMaps, rounds in turn"
    return [
        median("a role ÷ administrator", by_role, "", f"{how}, allowed by a ClusterRole", storage),
        median("a webhook ÷ none", beside, "", f"{how}, a webhook for Secrets is there", storage),
    ]


async def _all(server: Server, clients: list[_Client], count: int, work: Work) -> tuple[float, float]:
    """Do it `count` times: seconds in all, and CPU seconds of the server for each."""
    numbers = iter(range(count))

    async def some(client: _Client) -> None:
        for number in numbers:
            await work(client, number)

    before, start = server.seconds(), time.perf_counter()
    tasks: list[Coroutine[Any, Any, None]] = [some(each) for each in clients for _ in range(_AT_ONCE)]
    await asyncio.gather(*tasks)
    return time.perf_counter() - start, (server.seconds() - before) / count


_pairs = itertools.count()


async def _create_pair(client: Client, number: int) -> None:
    name = f"made-{next(_pairs)}"
    resource, obj = (ENDPOINTSLICES, slice_of(name)) if number % 2 else (SERVICES, service(name))
    await client.create(resource, obj)


async def _apply(client: _Client, number: int) -> None:
    name = f"applied-{number % 100}"
    body = config_map(name) | {"apiVersion": "v1", "kind": "ConfigMap", "data": {"number": str(number)}}
    await client.apply(CONFIGMAPS, name, body)


@asynccontextmanager
async def _clients(kubeconfig: Path) -> AsyncIterator[list[_Client]]:
    async with AsyncExitStack() as stack:
        made = [_Client(load(str(kubeconfig)), "wellhead-bench") for _ in range(_CLIENTS)]
        yield [await stack.enter_async_context(each) for each in made]
