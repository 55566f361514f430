"""Writes and a watch while the API server is killed: what was acknowledged stays, and is told, once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wellhead.api.errors import AlreadyExists, ApiError, NotFound
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS
from wellhead.client.connection import load
from wellhead.client.rest import Client, ConnectionLost

_WRITERS = 8
_PATIENCE = 60.0


@dataclass
class Writes:
    """What was acknowledged, and what came of it. All but the first two shall be nothing."""

    kills: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    lost: int = 0
    changed: int = 0
    back: int = 0
    missed: int = 0
    repeated: int = 0
    advanced: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def wrong(self) -> int:
        return self.lost + self.changed + self.back + self.missed + self.repeated


@dataclass
class _Told:
    """What the watcher has seen."""

    events: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # type, name, version, value
    last: int = 0
    repeated: int = 0
    advanced: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Name:
    """One object: its acknowledged values by resource version, the ones that may have been written since."""

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    possible: set[str] = field(default_factory=set)
    deleted: bool = False


async def killed_under_writes(
    kubeconfig: Path, namespace: str, kills: int, kill: Callable[[], None], tick: Callable[[int], None]
) -> Writes:
    """Have the API server killed so many times, each when writes have been acknowledged since the last time.

    `kill` comes back when there is a new one, which need not serve yet.
    """
    result, names, told = Writes(), dict[str, _Name](), _Told()
    async with Client(load(str(kubeconfig)), "test-faults") as client:
        listed = await client.list(CONFIGMAPS, namespace)
        told.last = int(listed["metadata"]["resourceVersion"])
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(client, namespace, told))
            stop = asyncio.Event()
            writers = [
                group.create_task(_write(client, namespace, number, names, result, stop))
                for number in range(_WRITERS)
            ]
            for number in range(kills):
                wanted = result.acknowledged + _WRITERS * 4
                async with asyncio.timeout(_PATIENCE):
                    while result.acknowledged < wanted:
                        result.advanced.clear()
                        await result.advanced.wait()
                await asyncio.to_thread(kill)
                result.kills += 1
                tick(number + 1)
            stop.set()
            for writer in writers:
                await writer
            # All that was done before it has been told when this is, deletions too.
            last = await _made_last(client, namespace)
            async with asyncio.timeout(_PATIENCE):
                while told.last < last:
                    told.advanced.clear()
                    await told.advanced.wait()
            watching.cancel()
        listed = await client.list(CONFIGMAPS, namespace)
    now = {
        each["metadata"]["name"]: each["data"]["value"]
        for each in listed["items"]
        if each["metadata"]["name"] in names
    }
    _judge(result, names, told, now)
    return result


async def _write(
    client: Client,
    namespace: str,
    writer: int,
    names: dict[str, _Name],
    result: Writes,
    stop: asyncio.Event,
) -> None:
    """Make an object, change it a few times, delete every other one; again and again."""
    for number in itertools.count():
        name = f"written-{writer}-{number}"
        known = names[name] = _Name()
        for change in range(6):
            if stop.is_set():
                return
            value = f"{writer}.{number}.{change}"
            body: Obj = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": namespace},
                "data": {"value": value},
            }
            try:
                if known.acknowledged:
                    obj = await client.patch(CONFIGMAPS, name, {"data": body["data"]}, namespace)
                else:
                    obj = await client.create(CONFIGMAPS, body)
            except ConnectionLost:
                result.unanswered += 1
                known.possible.add(value)
            except AlreadyExists:
                # The attempt that got no answer had worked.
                obj = await _patiently(client, name, body, namespace)
                _note(known, obj, value, result)
            else:
                _note(known, obj, value, result)
        if number % 2 and known.acknowledged:
            with contextlib.suppress(NotFound):
                while True:
                    try:
                        await client.delete(CONFIGMAPS, name, namespace)
                        break
                    except ConnectionLost:
                        result.unanswered += 1
            known.deleted = True
            result.acknowledged += 1


async def _made_last(client: Client, namespace: str) -> int:
    """The version of an object that is made now."""
    body: Obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "written-last-", "namespace": namespace},
    }
    while True:
        try:
            return int((await client.create(CONFIGMAPS, body))["metadata"]["resourceVersion"])
        except ConnectionLost:
            await asyncio.sleep(0)


async def _patiently(client: Client, name: str, body: Obj, namespace: str) -> Obj:
    while True:
        try:
            return await client.patch(CONFIGMAPS, name, {"data": body["data"]}, namespace)
        except ConnectionLost:
            await asyncio.sleep(0)


def _note(known: _Name, obj: Obj, value: str, result: Writes) -> None:
    known.acknowledged.append((obj["metadata"]["resourceVersion"], value))
    known.possible.clear()
    result.acknowledged += 1
    result.advanced.set()


async def _watch(client: Client, namespace: str, told: _Told) -> None:
    while True:
        try:
            async for event in client.watch(CONFIGMAPS, namespace, resource_version=str(told.last)):
                metadata = event.object["metadata"]
                version = int(metadata["resourceVersion"])
                if event.type != "BOOKMARK":
                    told.repeated += version <= told.last
                    value = (event.object.get("data") or {}).get("value", "")
                    told.events[(event.type, metadata["name"], metadata["resourceVersion"], value)] += 1
                told.last = max(told.last, version)
                told.advanced.set()
        except ConnectionLost:
            await asyncio.sleep(0)
        except ApiError as error:
            raise AssertionError(f"the watch can't be gone on with: {error}") from error


def _judge(result: Writes, names: dict[str, _Name], told: _Told, now: dict[str, str]) -> None:
    seen = {(name, version, value) for kind, name, version, value in told.events if kind != "DELETED"}
    result.repeated = told.repeated + sum(count - 1 for count in told.events.values())
    for name, known in names.items():
        result.missed += sum((name, version, value) not in seen for version, value in known.acknowledged)
        if known.deleted:
            result.missed += not any(kind == "DELETED" and each == name for kind, each, *_ in told.events)
            result.back += name in now
        elif known.acknowledged:
            allowed = {known.acknowledged[-1][1], *known.possible}
            result.lost += name not in now
            result.changed += name in now and now[name] not in allowed


def rows(result: Writes) -> Iterator[tuple[str, int]]:
    """The result in words."""
    yield "kills of the API server", result.kills
    yield "writes acknowledged", result.acknowledged
    yield "writes without an answer", result.unanswered
    yield "acknowledged and lost", result.lost
    yield "acknowledged and changed", result.changed
    yield "deleted and back", result.back
    yield "watch events missed", result.missed
    yield "watch events repeated", result.repeated
