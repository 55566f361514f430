"""Namespaces come with what pods need, and go with everything in them."""

from __future__ import annotations

from tests.integration.controllers.world import World, deployment
from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS


def namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def appears(world: World, resource: Resource, name: str, where: str) -> Obj:
    async def ask() -> Obj | None:
        try:
            return await world.client.get(resource, name, where)
        except NotFound:
            return None

    found = await world.until(ask, lambda found: found is not None)
    assert found is not None
    return found


async def test_a_namespace_gets_a_service_account_and_the_root_ca(world: World) -> None:
    await world.client.create(NAMESPACES, namespace("blue"))
    await appears(world, SERVICEACCOUNTS, "default", "blue")
    published = await appears(world, CONFIGMAPS, "kube-root-ca.crt", "blue")
    assert published["data"] == {"ca.crt": "the CA"}


async def test_both_come_back_when_deleted(world: World) -> None:
    old = await appears(world, SERVICEACCOUNTS, "default", "default")
    await world.client.delete(SERVICEACCOUNTS, "default", "default")
    new = await appears(world, SERVICEACCOUNTS, "default", "default")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    await appears(world, CONFIGMAPS, "kube-root-ca.crt", "default")
    changed = {"data": {"ca.crt": "another"}}
    await world.client.patch(CONFIGMAPS, "kube-root-ca.crt", changed, "default")
    await world.until(
        lambda: world.client.get(CONFIGMAPS, "kube-root-ca.crt", "default"),
        lambda found: found["data"] == {"ca.crt": "the CA"},
    )


async def test_deleting_a_namespace_deletes_everything_in_it(world: World) -> None:
    await world.client.create(NAMESPACES, namespace("blue"))
    await appears(world, SERVICEACCOUNTS, "default", "blue")
    web = deployment("web", 2)
    web["metadata"]["namespace"] = "blue"
    await world.client.create(DEPLOYMENTS, web)
    await world.until(lambda: world.listed(PODS, namespace="blue"), lambda found: len(found) == 2)
    await world.api.ok("delete", "namespace", "blue")
    await world.gone(NAMESPACES, "blue", None)
    for resource in (PODS, DEPLOYMENTS, CONFIGMAPS):
        assert await world.listed(resource, namespace="blue") == []


async def test_contents_with_a_finalizer_hold_the_namespace_which_says_so(world: World) -> None:
    await world.client.create(NAMESPACES, namespace("blue"))
    metadata = {"name": "held", "namespace": "blue", "finalizers": ["example.org/hold"]}
    await world.client.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    await world.client.delete(NAMESPACES, "blue")

    async def conditions() -> dict[str, str]:
        found = await world.client.get(NAMESPACES, "blue")
        return {each["type"]: each["status"] for each in found["status"].get("conditions") or []}

    await world.until(conditions, lambda found: found.get("NamespaceFinalizersRemaining") == "True")
    await world.client.patch(CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, "blue")
    await world.gone(NAMESPACES, "blue", None)
