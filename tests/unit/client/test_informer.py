"""An informer's copy follows the server, and its handlers see differences only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from tests.patience import PATIENCE
from wellhead.api.errors import Gone
from wellhead.api.forms import Form, formed
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.client.informer import Informer, TypedInformer
from wellhead.client.rest import Client, ConnectionLost, Event, Listing


def pod(name: str, version: int, uid: str = "", node: str = "node-1") -> Obj:
    metadata = {"name": name, "namespace": "default", "uid": uid or name, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}}


def listing(version: int, *items: Obj) -> Obj:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


class ScriptedServer:
    """Answers lists and watches in the order given; a watch whose script is over stays open."""

    def __init__(self, lists: list[Obj], watches: list[list[Event | Exception]]) -> None:
        self.lists = lists
        self.watches = watches
        self.listed_at: list[str] = []
        self.watched_from: list[str] = []
        self.exhausted = asyncio.Event()

    async def listing(self, *_: Any, resource_version: str, **__: Any) -> Listing:
        self.listed_at.append(resource_version)
        answer = self.lists.pop(0)
        return Listing(answer["metadata"]["resourceVersion"], iter(answer["items"]))

    async def watch(
        self, *_: Any, resource_version: str, on_open: Callable[[], None], **__: Any
    ) -> AsyncIterator[Event]:
        self.watched_from.append(resource_version)
        on_open()
        if not self.watches:
            self.exhausted.set()
            await asyncio.Event().wait()
        for step in self.watches.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


Change = tuple[str | None, str | None]


async def _follow(server: ScriptedServer, **options: Any) -> tuple[Informer, list[Change]]:
    """Run an informer until the script is over; the informer, and its changes as (old, new) uid@version."""
    informer = Informer(cast(Client, server), PODS, **options)
    changes: list[Change] = []

    def name(obj: Obj | None) -> str | None:
        return None if obj is None else f"{obj['metadata']['uid']}@{obj['metadata']['resourceVersion']}"

    informer.on_change(lambda old, new: changes.append((name(old), name(new))))
    running = asyncio.ensure_future(informer.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await server.exhausted.wait()
            await informer.synced()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return informer, changes


async def test_the_list_and_then_every_change_reach_the_handlers() -> None:
    server = ScriptedServer(
        [listing(5, pod("a", 1), pod("b", 2))],
        [
            [
                Event("MODIFIED", pod("a", 6)),
                Event("DELETED", pod("b", 7)),
                Event("ADDED", pod("c", 8)),
                Event("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
            ]
        ],
    )
    informer, changes = await _follow(server)
    assert changes == [(None, "a@1"), (None, "b@2"), ("a@1", "a@6"), ("b@2", None), (None, "c@8")]
    assert sorted(obj["metadata"]["name"] for obj in informer) == ["a", "c"]
    assert server.watched_from == ["5", "20"]
    assert not informer.lagging


async def test_a_lost_connection_resumes_from_the_last_version_without_listing() -> None:
    server = ScriptedServer(
        [listing(5, pod("a", 1))],
        [[Event("MODIFIED", pod("a", 6)), ConnectionLost("reset")], [ConnectionLost("refused")]],
    )
    _, changes = await _follow(server)
    assert changes == [(None, "a@1"), ("a@1", "a@6")]
    assert server.watched_from == ["5", "6", "6"]


async def test_after_a_compaction_only_differences_reach_the_handlers() -> None:
    gone = Gone("too old")
    server = ScriptedServer(
        [
            listing(5, pod("same", 1), pod("changed", 2), pod("deleted", 3)),
            listing(9, pod("same", 1), pod("changed", 8), pod("added", 9)),
        ],
        [[gone]],
    )
    _, changes = await _follow(server)
    assert changes[3:] == [("deleted@3", None), ("changed@2", "changed@8"), (None, "added@9")]
    assert server.listed_at == ["0", ""]  # the second must not come from a cache that is behind


async def test_an_object_that_was_deleted_and_created_again_unseen_is_two_changes() -> None:
    gone = Gone("too old")
    server = ScriptedServer([listing(5, pod("a", 1, "first")), listing(9, pod("a", 8, "second"))], [[gone]])
    _, changes = await _follow(server)
    assert changes == [(None, "first@1"), ("first@1", None), (None, "second@8")]


async def test_an_index_follows_an_object_that_moves() -> None:
    server = ScriptedServer(
        [listing(5, pod("a", 1, node="node-1"), pod("b", 2, node="node-1"))],
        [[Event("MODIFIED", pod("a", 6, node="node-2")), Event("DELETED", pod("b", 7, node="node-1"))]],
    )
    informer, _ = await _follow(server, indexes={"node": lambda obj: [obj["spec"]["nodeName"]]})
    assert informer.by_index("node", "node-1") == []
    assert [obj["metadata"]["name"] for obj in informer.by_index("node", "node-2")] == ["a"]


async def test_what_is_kept_is_what_read_makes_of_an_object() -> None:
    server = ScriptedServer(
        [listing(5, pod("a", 1), pod("b", 2, node="node-2"))],
        [[Event("MODIFIED", pod("a", 6, node="node-3"))]],
    )
    informer: TypedInformer[str] = TypedInformer(
        cast(Client, server),
        PODS,
        lambda obj: str(obj["spec"]["nodeName"]),
        indexes={"initial": lambda node: [node[0]]},
    )
    changes: list[Change] = []
    informer.on_change(lambda old, new: changes.append((old, new)))
    running = asyncio.ensure_future(informer.run())
    async with asyncio.timeout(PATIENCE):
        await server.exhausted.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert changes == [(None, "node-1"), (None, "node-2"), ("node-1", "node-3")]
    assert informer.get("a", "default") == "node-3"
    assert sorted(informer.by_index("initial", "n")) == ["node-2", "node-3"]


async def test_an_object_in_a_form_is_known_by_its_metadata() -> None:
    class PodForm(Form):
        spec: dict[str, str]

    first = listing(5, pod("a", 1), pod("b", 2))
    first["items"] = [formed(each, PodForm) for each in first["items"]]
    events: list[Event | Exception] = [
        Event("MODIFIED", formed(pod("a", 6, node="node-3"), PodForm)),
        Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
        Event("DELETED", formed(pod("b", 10), PodForm)),
    ]
    server = ScriptedServer([first], [events])
    informer = TypedInformer(
        cast(Client, server),
        PODS,
        lambda form: str(form.spec["nodeName"]),
        form=PodForm,
    )
    changes: list[Change] = []
    informer.on_change(lambda old, new: changes.append((old, new)))
    running = asyncio.ensure_future(informer.run())
    async with asyncio.timeout(PATIENCE):
        await server.exhausted.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert changes == [(None, "node-1"), (None, "node-1"), ("node-1", "node-3"), ("node-1", None)]
    assert informer.get("a", "default") == "node-3"


async def test_being_without_a_watch_is_a_problem_only_after_a_while_and_until_there_is_one() -> None:
    refused: list[Event | Exception] = [ConnectionLost("connection refused")]
    server = ScriptedServer([listing(5, pod("a", 1))], [refused for _ in range(24)])
    informer = Informer(cast(Client, server), PODS)
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    real = server.watch

    def watch(*arguments: Any, on_open: Callable[[], None], **options: Any) -> AsyncIterator[Event]:
        seen.append(informer.problem(loop.time()))
        refuses = bool(server.watches)
        return real(*arguments, on_open=on_open if not refuses else lambda: None, **options)

    server.watch = watch  # type: ignore[method-assign]
    running = asyncio.ensure_future(informer.run())
    await server.exhausted.wait()
    assert seen[0] == seen[3] == ""
    assert seen[-1].startswith("no watch of pods for ")
    assert seen[-1].endswith(" s: connection refused")
    assert informer.problem(loop.time() + 1000) == ""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
