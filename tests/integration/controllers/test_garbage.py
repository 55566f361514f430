"""Nothing that a live object owns is ever collected; everything else that has owners is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.integration.controllers.world import World, sharing
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS, PODS
from wellhead.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Node, Owner
from wellhead.controllers.garbage.verdict import Delete, Keep, OwnerState, Unblock, Unlink, blocking, verdict


def node(uid: str, *owners: str, deleting: bool = False, finalizers: tuple[str, ...] = ()) -> Node:
    references = tuple(Owner("v1", "ConfigMap", owner, owner, blocks=True) for owner in owners)
    return Node(CONFIGMAPS, "default", uid, uid, references, deleting, frozenset(finalizers))


states = st.sampled_from(list(OwnerState))


@given(owners=st.dictionaries(st.sampled_from("abcd"), states), has_dependents=st.booleans())
def test_an_object_with_a_live_owner_is_never_deleted(
    owners: dict[str, OwnerState], has_dependents: bool
) -> None:
    dependents = [node("d", "x")] if has_dependents else []
    found = verdict(node("x", *owners), owners, dependents)
    if OwnerState.LIVES in owners.values():
        assert isinstance(found, Keep | Unlink)
    elif owners:
        assert isinstance(found, Delete | Unblock)
    else:
        assert found == Keep()


@given(owners=st.dictionaries(st.sampled_from("abcd"), states, min_size=1))
def test_live_owners_are_never_unlinked(owners: dict[str, OwnerState]) -> None:
    found = verdict(node("x", *owners), owners, [])
    if isinstance(found, Unlink):
        assert found.uids == {uid for uid, state in owners.items() if state is not OwnerState.LIVES}


def test_the_finalizers_that_are_there_decide_how_dependents_fare() -> None:
    absent = {"a": OwnerState.ABSENT}
    assert verdict(node("x", "a"), absent, []) == Delete("Background")
    assert verdict(node("x", "a", finalizers=(ORPHAN,)), absent, []) == Delete("Orphan")
    assert verdict(node("x", "a", finalizers=(FOREGROUND,)), absent, []) == Delete("Foreground")


def test_in_foreground_deletion_a_dependent_with_dependents_goes_in_the_foreground_too() -> None:
    waiting = {"a": OwnerState.WAITS}
    assert verdict(node("x", "a"), waiting, [node("d", "x")]) == Delete("Foreground")
    assert verdict(node("x", "a"), waiting, []) == Delete("Background")


def test_a_circle_of_owners_in_foreground_deletion_ends() -> None:
    dependent = node("d", "x", deleting=True, finalizers=(FOREGROUND,))
    assert verdict(node("x", "d"), {"d": OwnerState.WAITS}, [dependent]) == Unblock()


def test_nothing_in_another_namespace_holds_an_object_up() -> None:
    owner = node("owner", deleting=True, finalizers=(FOREGROUND,))
    here = replace(node("here"), owners=(Owner("v1", "ConfigMap", "owner", "owner", blocks=True),))
    there = replace(here, uid="there", namespace="other", finalizers=frozenset({"example.com/stays"}))
    everywhere = replace(here, uid="everywhere", namespace="")
    assert blocking(owner, [here, there, everywhere]) == [here]
    assert blocking(replace(owner, namespace=""), [here, there, everywhere]) == [here, there, everywhere]


def test_the_graph_asks_for_a_look_at_dependents_of_what_is_gone() -> None:
    graph = Graph()
    graph.put(node("a"))
    assert graph.put(node("x", "a")) == []
    assert graph.remove("a") == ["x"]
    assert graph.put(node("y", "a")) == ["y"]


def test_the_graph_asks_for_a_look_at_a_waiting_owner_when_a_dependent_goes() -> None:
    graph = Graph()
    graph.put(node("a"))
    graph.put(node("x", "a"))
    waiting = node("a", deleting=True, finalizers=(FOREGROUND,))
    assert graph.put(waiting) == ["a"]
    assert blocking(waiting, graph.dependents("a")) == [node("x", "a")]
    assert graph.remove("x") == ["a"]
    assert graph.dependents("a") == []


def configmap(name: str, *owners: Obj, **metadata: object) -> Obj:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": each["metadata"]["name"],
            "uid": each["metadata"]["uid"],
        }
        for each in owners
    ]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@sharing
async def test_an_object_survives_while_one_of_its_owners_lives(shared: World) -> None:
    first = await shared.client.create(CONFIGMAPS, configmap("one-lives-first"))
    second = await shared.client.create(CONFIGMAPS, configmap("one-lives-second"))
    await shared.client.create(CONFIGMAPS, configmap("one-lives-child", first, second))
    await shared.client.delete(CONFIGMAPS, "one-lives-first", "default")

    async def owners() -> list[str]:
        child = await shared.client.get(CONFIGMAPS, "one-lives-child", "default")
        return [ref["name"] for ref in child["metadata"].get("ownerReferences") or []]

    await shared.until(owners, lambda found: found == ["one-lives-second"])
    await shared.client.delete(CONFIGMAPS, "one-lives-second", "default")
    await shared.gone(CONFIGMAPS, "one-lives-child")


@sharing
async def test_an_owner_with_another_uid_is_no_owner(shared: World) -> None:
    old = await shared.client.create(CONFIGMAPS, configmap("other-uid-owner"))
    await shared.client.delete(CONFIGMAPS, "other-uid-owner", "default")
    await shared.client.create(CONFIGMAPS, configmap("other-uid-owner"))
    await shared.client.create(CONFIGMAPS, configmap("other-uid-child", old))
    await shared.gone(CONFIGMAPS, "other-uid-child")


@sharing
async def test_orphaning_keeps_the_dependents(shared: World) -> None:
    owner = await shared.client.create(CONFIGMAPS, configmap("orphan-owner"))
    await shared.client.create(CONFIGMAPS, configmap("orphan-child", owner))
    await shared.client.delete(CONFIGMAPS, "orphan-owner", "default", propagation="Orphan")
    await shared.gone(CONFIGMAPS, "orphan-owner")
    child = await shared.client.get(CONFIGMAPS, "orphan-child", "default")
    assert not child["metadata"].get("ownerReferences")


@sharing
async def test_foreground_deletion_waits_for_blocking_dependents(shared: World) -> None:
    owner = await shared.client.create(CONFIGMAPS, configmap("foreground-owner"))
    child = configmap("foreground-child", owner, finalizers=["example.org/hold"])
    child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
    await shared.client.create(CONFIGMAPS, child)
    await shared.client.delete(CONFIGMAPS, "foreground-owner", "default", propagation="Foreground")
    await shared.until(
        lambda: shared.client.get(CONFIGMAPS, "foreground-child", "default"),
        lambda found: found["metadata"].get("deletionTimestamp"),
    )
    assert (await shared.client.get(CONFIGMAPS, "foreground-owner", "default"))["metadata"]["finalizers"] == [
        FOREGROUND
    ]
    await shared.client.patch(CONFIGMAPS, "foreground-child", {"metadata": {"finalizers": None}}, "default")
    await shared.gone(CONFIGMAPS, "foreground-owner")
    await shared.gone(CONFIGMAPS, "foreground-child")


@sharing
async def test_an_owner_of_an_unknown_kind_keeps_its_dependents(shared: World) -> None:
    child = configmap("unknown-child")
    reference = {"apiVersion": "example.org/v1", "kind": "Thing", "name": "x", "uid": "1"}
    child["metadata"]["ownerReferences"] = [reference]
    await shared.client.create(CONFIGMAPS, child)
    doomed = configmap("unknown-doomed")
    doomed["metadata"]["ownerReferences"] = [reference | {"apiVersion": "v1", "kind": "Pod"}]
    await shared.client.create(CONFIGMAPS, doomed)
    await shared.gone(CONFIGMAPS, "unknown-doomed")
    await shared.client.get(CONFIGMAPS, "unknown-child", "default")
    assert await shared.listed(PODS) == []
