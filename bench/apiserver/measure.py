"""What the API server does in a second, what that costs it, and what it needs of memory."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.apiserver.objects import config_map, service, slice_of, webhook
from bench.apiserver.server import STORAGES, USER, Server, alone
from bench.apiserver.writing import creation, write
from bench.hollow.nodes import STAMP, WATCHED, Noted, Watch
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
_ROUNDS, _A_ROUND = 10, 300
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
            found += uvloop.run(_rows(server, storage))
    return found


async def pairs(kubeconfig: Path, counts: Sequence[int]) -> list[float]:
    """Create Services and slices in lots of so many, from all clients at once: the seconds of each lot."""
    seconds = []
    for count in counts:
        requests = [_pair(number) for number in range(count)]
        start = time.perf_counter()
        await write(kubeconfig, iter(requests), _CLIENTS * _AT_ONCE)
        seconds.append(time.perf_counter() - start)
    return seconds


async def _rows(server: Server, storage: str) -> list[Result]:
    start = server.pss()
    async with _clients(server.admin) as admins:
        before = server.seconds()
        [took] = await pairs(server.admin, [2 * _CREATES])
        cpu = (server.seconds() - before) / (2 * _CREATES)
        creates = f"Services and slices over {_CLIENTS * _AT_ONCE} plain sockets"
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
    await pairs(server.admin, [2 * (_MANY - _CREATES)])
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
        await _watched(server, admins[0], storage),
    ]


async def _watched(server: Server, client: Client, storage: str) -> Result:
    """How long after a change was sent each watcher has it."""
    await client.create(CONFIGMAPS, config_map("watched"))
    connection, noted = load(str(server.admin)), Noted()
    url = urlsplit(connection.server)
    path = f"{CONFIGMAPS.path('default')}?fieldSelector=metadata.name%3Dwatched&{WATCHED}"
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(_WATCHERS):
        transport, watch = await loop.create_connection(
            partial(Watch, path, noted), url.hostname or "", url.port or 443, ssl=connection.ssl_context
        )
        await watch.synced
        transports.append(transport)
    for number in range(1, _CHANGES + 1):
        sent = {"metadata": {"annotations": {STAMP: str(time.monotonic_ns())}}}
        await client.patch(CONFIGMAPS, "watched", sent, "default")
        await noted.heard(number * _WATCHERS)
    for transport in transports:
        transport.abort()
    how = f"from sending it to each of {_WATCHERS} watches, plain sockets of one process"
    late = statistics.quantiles(noted.changes, n=100)[98] * 1000
    return Result("a change, p99", late, "ms", how, case=storage)


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

    async with _clients(server.user) as users:
        await _all(server, admins, _A_ROUND, create)

        async def plain() -> float:
            return (await _all(server, admins, _A_ROUND, create))[1]

        async def by_role() -> float:
            return (await _all(server, users, _A_ROUND, create))[1]

        async def beside() -> float:
            await admins[0].create(webhooks, webhook(USER))
            try:
                return await plain()
            finally:
                await admins[0].delete(webhooks, USER)

        turns = [plain, by_role, beside]
        found: dict[Any, list[float]] = {each: [] for each in turns}
        for number in range(_ROUNDS):
            # There and back: what one leaves behind is not always the same one's to bear.
            for each in turns if number % 2 else reversed(turns):
                found[each].append(await each())
    allowed, hooked = (
        [mine / others for mine, others in zip(found[each], found[plain], strict=True)]
        for each in (by_role, beside)
    )
    how = "CPU of the server for ConfigMaps, rounds in turn"
    return [
        median("a role ÷ administrator", allowed, "", f"{how}, allowed by a ClusterRole", storage),
        median("a webhook ÷ none", hooked, "", f"{how}, a webhook for Secrets is there", storage),
    ]


async def _all(server: Server, clients: list[_Client], count: int, work: Work) -> tuple[float, float]:
    """Do it `count` times: seconds in all, and CPU seconds of the server for each."""
    before, start = server.seconds(), time.perf_counter()
    await _shared(clients, count, work)
    return time.perf_counter() - start, (server.seconds() - before) / count


async def _shared(clients: list[_Client], count: int, work: Work) -> None:
    numbers = iter(range(count))

    async def some(client: _Client) -> None:
        for number in numbers:
            await work(client, number)

    tasks: list[Coroutine[Any, Any, None]] = [some(each) for each in clients for _ in range(_AT_ONCE)]
    await asyncio.gather(*tasks)


_pairs = itertools.count()


def _pair(number: int) -> bytes:
    """Creates a Service, or a slice."""
    name = f"made-{next(_pairs)}"
    resource, obj = (ENDPOINTSLICES, slice_of(name)) if number % 2 else (SERVICES, service(name))
    return creation(resource, obj)


async def _apply(client: _Client, number: int) -> None:
    name = f"applied-{number % 100}"
    body = config_map(name) | {"apiVersion": "v1", "kind": "ConfigMap", "data": {"number": str(number)}}
    await client.apply(CONFIGMAPS, name, body)


@asynccontextmanager
async def _clients(kubeconfig: Path) -> AsyncIterator[list[_Client]]:
    async with AsyncExitStack() as stack:
        made = [_Client(load(str(kubeconfig)), "wellhead-bench") for _ in range(_CLIENTS)]
        yield [await stack.enter_async_context(each) for each in made]
