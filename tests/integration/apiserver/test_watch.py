"""list and watch: pieces, versions, selectors, bookmarks, and how a watch goes on after a break."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.integration.apiserver.cluster import Cluster, User, serve
from tests.integration.apiserver.objects import (
    CONFIGMAPS,
    NAMESPACES,
    PODS,
    binding,
    configmap,
    node,
    pod,
    service_account,
)
from tests.integration.apiserver.pki import Pki


async def names(user: User, path: str, **query: str) -> list[str]:
    return [item["metadata"]["name"] for item in (await user.get(path, **query))["items"]]


async def version(user: User) -> str:
    return str((await user.get(CONFIGMAPS))["metadata"]["resourceVersion"])


async def test_label_and_field_selectors(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a", {"app": "x", "tier": "1"}))
    await admin.create(CONFIGMAPS, configmap("b", {"app": "x"}))
    await admin.create(CONFIGMAPS, configmap("c", {"app": "y"}))
    assert await names(admin, CONFIGMAPS, labelSelector="app=x") == ["a", "b"]
    assert await names(admin, CONFIGMAPS, labelSelector="app in (x,y),!tier") == ["b", "c"]
    assert await names(admin, CONFIGMAPS, fieldSelector="metadata.name=b") == ["b"]
    assert await names(admin, CONFIGMAPS, fieldSelector="metadata.name!=b", labelSelector="app=x") == ["a"]
    assert await names(admin, "/api/v1/configmaps", fieldSelector="metadata.namespace=other") == []
    for query in ({"labelSelector": "a b"}, {"fieldSelector": "data.x=1"}, {"limit": "x"}):
        (await admin.call("GET", CONFIGMAPS, query=query)).expect(400)


async def test_a_list_covers_one_namespace_or_all_in_order(admin: User) -> None:
    await admin.create(NAMESPACES, {"metadata": {"name": "a"}})
    for path in (CONFIGMAPS, "/api/v1/namespaces/a/configmaps"):
        for name in ("z", "b"):
            await admin.create(path, configmap(name))
    assert await names(admin, CONFIGMAPS) == ["b", "z"]
    everywhere = (await admin.get("/api/v1/configmaps"))["items"]
    assert [(i["metadata"]["namespace"], i["metadata"]["name"]) for i in everywhere] == [
        ("a", "b"),
        ("a", "z"),
        ("default", "b"),
        ("default", "z"),
        ("kube-system", "extension-apiserver-authentication"),
    ]


async def test_a_list_in_pieces_is_of_one_moment(admin: User) -> None:
    for number in range(5):
        await admin.create(CONFIGMAPS, configmap(f"a{number}"))
    first = await admin.get(CONFIGMAPS, limit="2")
    assert first["metadata"]["remainingItemCount"] == 3
    await admin.delete(f"{CONFIGMAPS}/a3")
    await admin.create(CONFIGMAPS, configmap("a9"))
    found = [item["metadata"]["name"] for item in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        piece = await admin.get(CONFIGMAPS, **{"limit": "2", "continue": token})
        assert piece["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        found += [item["metadata"]["name"] for item in piece["items"]]
        token = piece["metadata"].get("continue")
    assert found == ["a0", "a1", "a2", "a3", "a4"]


async def test_a_list_may_ask_for_an_exact_version(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    before = await version(admin)
    await admin.create(CONFIGMAPS, configmap("b"))
    exact = {"resourceVersion": before, "resourceVersionMatch": "Exact"}
    assert await names(admin, CONFIGMAPS, **exact) == ["a"]
    assert await names(admin, CONFIGMAPS, resourceVersion=before) == ["a", "b"]
    assert await names(admin, CONFIGMAPS, resourceVersion="0") == ["a", "b"]


async def test_versions_that_are_gone_to_come_or_nonsense(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    future = str(int(await version(admin)) + 1000)
    status = (await admin.call("GET", CONFIGMAPS, query={"resourceVersion": future})).expect(504)
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    one = f"{CONFIGMAPS}/a"
    status = (await admin.call("GET", one, query={"resourceVersion": future})).expect(504)
    assert status["message"].startswith("Timeout: Too large resource version: ")
    query = {"resourceVersion": "1", "resourceVersionMatch": "Exact"}
    status = (await admin.call("GET", CONFIGMAPS, query=query)).expect(410)
    assert status["message"] == "The resourceVersion for the provided list is too old."
    async with admin.watch(CONFIGMAPS, resourceVersion="1") as watch:
        kind, status = await watch.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")
    (await admin.call("GET", CONFIGMAPS, query={"resourceVersion": "x"})).expect(400)
    (await admin.call("GET", CONFIGMAPS, query={"continue": "x"})).expect(400)
    (await admin.call("GET", CONFIGMAPS, query={"resourceVersionMatch": "Exact"})).expect(422)


async def test_a_watch_sees_everything_after_its_version(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("before"))
    start = await version(admin)
    await admin.create(CONFIGMAPS, configmap("a", x="1"))
    async with admin.watch(CONFIGMAPS, resourceVersion=start) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "2"}})
        kind, modified = await watch.next()
        assert (kind, modified["data"]) == ("MODIFIED", {"x": "2"})
        await admin.delete(f"{CONFIGMAPS}/a")
        kind, deleted = await watch.next()
        assert (kind, deleted["data"]) == ("DELETED", {"x": "2"})
        assert int(deleted["metadata"]["resourceVersion"]) > int(modified["metadata"]["resourceVersion"])
    resumed = modified["metadata"]["resourceVersion"]
    async with admin.watch(CONFIGMAPS, resourceVersion=resumed) as watch:
        assert await watch.names(1) == [("DELETED", "a")]


async def test_a_watch_without_a_version_begins_with_what_is_there(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    for query in ({}, {"resourceVersion": "0"}):
        async with admin.watch(CONFIGMAPS, **query) as watch:
            assert await watch.names(1) == [("ADDED", "a")]


async def test_what_starts_or_stops_matching_is_added_or_deleted(admin: User) -> None:
    start = await version(admin)
    async with admin.watch(CONFIGMAPS, resourceVersion=start, labelSelector="app=x") as watch:
        await admin.create(CONFIGMAPS, configmap("a"))
        await admin.patch(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"app": "x"}}})
        await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "1"}})
        await admin.patch(f"{CONFIGMAPS}/a", {"metadata": {"labels": {"app": "y"}}})
        await admin.delete(f"{CONFIGMAPS}/a")
        await admin.create(CONFIGMAPS, configmap("b", {"app": "x"}))
        assert await watch.names(4) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]


async def test_a_node_watches_its_own_pods(admin: User) -> None:
    await admin.create("/api/v1/namespaces/default/serviceaccounts", service_account())
    await admin.create("/api/v1/nodes", node("node-1"))
    start = await version(admin)
    query = {"resourceVersion": start, "fieldSelector": "spec.nodeName=node-1"}
    async with admin.watch("/api/v1/pods", **query) as watch:
        await admin.create(PODS, pod("a"))
        await admin.create(PODS, pod("b"))
        await admin.create(f"{PODS}/b/binding", binding("b"))
        assert await watch.names(1) == [("ADDED", "b")]


async def test_a_watch_of_one_name(admin: User) -> None:
    start = await version(admin)
    async with admin.watch(CONFIGMAPS, resourceVersion=start, fieldSelector="metadata.name=b") as watch:
        await admin.create(CONFIGMAPS, configmap("a"))
        await admin.create(CONFIGMAPS, configmap("b"))
        assert await watch.names(1) == [("ADDED", "b")]


async def test_initial_events_end_with_an_annotated_bookmark(admin: User) -> None:
    await admin.create(CONFIGMAPS, configmap("a"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with admin.watch(CONFIGMAPS, **query) as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        kind, bookmark = await watch.next()
        assert kind == "BOOKMARK"
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert bookmark["metadata"]["resourceVersion"] == await version(admin)
        await admin.create(CONFIGMAPS, configmap("b"))
        assert await watch.names(1) == [("ADDED", "b")]
    del query["resourceVersionMatch"]
    (await admin.call("GET", CONFIGMAPS, query=query | {"watch": "true"})).expect(422)


async def test_a_watch_ends_when_its_time_is_up(admin: User) -> None:
    async with admin.watch(CONFIGMAPS, timeoutSeconds="1") as watch:
        with pytest.raises(EOFError):
            await watch.next()


async def test_bookmarks_come_while_nothing_happens(pki: Pki, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        admin = await (await stack.enter_async_context(serve(pki, tmp_path, bookmark_seconds=0.05))).user()
        start = await version(admin)
        watch = await stack.enter_async_context(
            admin.watch(CONFIGMAPS, resourceVersion=start, allowWatchBookmarks="true")
        )
        await admin.create(NAMESPACES, {"metadata": {"name": "a"}})
        current = await version(admin)
        while True:
            kind, bookmark = await watch.next()
            assert (kind, bookmark["kind"]) == ("BOOKMARK", "ConfigMap")
            if bookmark["metadata"]["resourceVersion"] == current:
                break


async def test_a_bookmark_never_leads_back(pki: Pki, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        admin = await (await stack.enter_async_context(serve(pki, tmp_path, bookmark_seconds=0.05))).user()
        asked = str(int(await version(admin)) + 1000)
        watch = await stack.enter_async_context(
            admin.watch(CONFIGMAPS, resourceVersion=asked, allowWatchBookmarks="true")
        )
        kind, bookmark = await watch.next()
        assert (kind, bookmark["metadata"]["resourceVersion"]) == ("BOOKMARK", asked)


async def test_a_client_that_does_not_read_is_cut_off(cluster: Cluster, admin: User) -> None:
    slow = await cluster.user()
    async with slow.watch(CONFIGMAPS) as watch:
        for batch in range(60):
            big = "y" * 200_000
            await asyncio.gather(
                *(admin.create(CONFIGMAPS, configmap(f"a-{batch}-{n}", x=big)) for n in range(10))
            )
            if watch.response.connection is None or watch.response.connection.transport is None:
                break
        metrics = await admin.get("/metrics")
    assert 'apiserver_longrunning_requests{resource="configmaps",verb="WATCH"} 0.0' in metrics
    assert 'apiserver_terminated_watchers_total{resource="configmaps"} 1.0' in metrics
    assert 'apiserver_refused_requests_total{limit="watch-history-bytes"} 1.0' in metrics


async def test_a_client_that_goes_is_forgotten_at_once(cluster: Cluster, admin: User) -> None:
    line = 'apiserver_longrunning_requests{resource="configmaps",verb="WATCH"} '
    async with admin.watch(CONFIGMAPS):
        assert f"{line}1.0" in await admin.get("/metrics")
    for _ in range(100):
        if f"{line}0.0" in await admin.get("/metrics"):
            break
    else:
        pytest.fail("the watch is still there")


async def follow(user: User, since: str, following: asyncio.Event) -> None:
    async with user.watch(CONFIGMAPS, resourceVersion=since) as watch:
        following.set()
        await watch.next()


async def test_a_watch_resumes_after_the_server_restarted(pki: Pki, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path}/db"
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        created = await admin.create(CONFIGMAPS, configmap("a"))
        await admin.create(CONFIGMAPS, configmap("b", {"app": "x"}))
        await admin.delete(f"{CONFIGMAPS}/b")
        following = asyncio.Event()
        pending = asyncio.create_task(follow(admin, await version(admin), following))
        await following.wait()
    with pytest.raises(EOFError):
        await pending
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        assert await admin.get(f"{CONFIGMAPS}/a") == created
        since = created["metadata"]["resourceVersion"]
        async with admin.watch(CONFIGMAPS, resourceVersion=since) as watch:
            assert await watch.names(2) == [("ADDED", "b"), ("DELETED", "b")]
        async with admin.watch(CONFIGMAPS, resourceVersion=since, labelSelector="app=x") as watch:
            assert await watch.names(2) == [("ADDED", "b"), ("DELETED", "b")]


async def test_a_watch_from_a_version_to_come_opens_and_waits_for_it(admin: User) -> None:
    made = await admin.create(CONFIGMAPS, configmap("a"))
    future = str(int(made["metadata"]["resourceVersion"]) + 1)
    async with admin.watch(CONFIGMAPS, resourceVersion=future) as watch:
        await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "1"}})
        await admin.patch(f"{CONFIGMAPS}/a", {"data": {"x": "2"}})
        kind, seen = await watch.next()
        assert (kind, seen["data"]) == ("MODIFIED", {"x": "2"})
    query = {
        "resourceVersion": str(int(future) + 1000),
        "resourceVersionMatch": "NotOlderThan",
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
    }
    async with admin.watch(CONFIGMAPS, **query) as watch:
        kind, status = await watch.next()
        assert (kind, status["code"]) == ("ERROR", 504)
        assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
