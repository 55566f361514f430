"""Nothing that a live object owns is ever collected; everything else that has owners is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.integration.controllers.world import World
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


async def test_an_object_survives_while_one_of_its_owners_lives(world: World) -> None:
    first = await world.client.create(CONFIGMAPS, configmap("first"))
    second = await world.client.create(CONFIGMAPS, configmap("second"))
    await world.client.create(CONFIGMAPS, configmap("child", first, second))
    await world.client.delete(CONFIGMAPS, "first", "default")

    async def owners() -> list[str]:
        child = await world.client.get(CONFIGMAPS, "child", "default")
        return [ref["name"] for ref in child["metadata"].get("ownerReferences") or []]

    await world.until(owners, lambda found: found == ["second"])
    await world.client.delete(CONFIGMAPS, "second", "default")
    await world.gone(CONFIGMAPS, "child")


async def test_an_owner_with_another_uid_is_no_owner(world: World) -> None:
    old = await world.client.create(CONFIGMAPS, configmap("owner"))
    await world.client.delete(CONFIGMAPS, "owner", "default")
    await world.client.create(CONFIGMAPS, configmap("owner"))
    await world.client.create(CONFIGMAPS, configmap("child", old))
    await world.gone(CONFIGMAPS, "child")


async def test_orphaning_keeps_the_dependents(world: World) -> None:
    owner = await world.client.create(CONFIGMAPS, configmap("owner"))
    await world.client.create(CONFIGMAPS, configmap("child", owner))
    await world.client.delete(CONFIGMAPS, "owner", "default", propagation="Orphan")
    await world.gone(CONFIGMAPS, "owner")
    child = await world.client.get(CONFIGMAPS, "child", "default")
    assert not child["metadata"].get("ownerReferences")


async def test_foreground_deletion_waits_for_blocking_dependents(world: World) -> None:
    owner = await world.client.create(CONFIGMAPS, configmap("owner"))
    child = configmap("child", owner, finalizers=["example.org/hold"])
    child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = True
    await world.client.create(CONFIGMAPS, child)
    await world.client.delete(CONFIGMAPS, "owner", "default", propagation="Foreground")
    await world.until(
        lambda: world.client.get(CONFIGMAPS, "child", "default"),
        lambda found: found["metadata"].get("deletionTimestamp"),
    )
    assert (await world.client.get(CONFIGMAPS, "owner", "default"))["metadata"]["finalizers"] == [FOREGROUND]
    await world.client.patch(CONFIGMAPS, "child", {"metadata": {"finalizers": None}}, "default")
    await world.gone(CONFIGMAPS, "owner")
    await world.gone(CONFIGMAPS, "child")


async def test_an_owner_of_an_unknown_kind_keeps_its_dependents(world: World) -> None:
    child = configmap("child")
    reference = {"apiVersion": "example.org/v1", "kind": "Thing", "name": "x", "uid": "1"}
    child["metadata"]["ownerReferences"] = [reference]
    await world.client.create(CONFIGMAPS, child)
    doomed = configmap("doomed")
    doomed["metadata"]["ownerReferences"] = [reference | {"apiVersion": "v1", "kind": "Pod"}]
    await world.client.create(CONFIGMAPS, doomed)
    await world.gone(CONFIGMAPS, "doomed")
    await world.client.get(CONFIGMAPS, "child", "default")
    assert await world.listed(PODS) == []
