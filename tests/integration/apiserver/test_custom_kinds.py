"""CustomResourceDefinitions as clients see them: what is served when, and what becomes of the objects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest

from tests.integration.apiserver.cluster import Answer, Cluster, User
from tests.integration.apiserver.hooks import Webhooks, webhooks
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api.meta import Obj, is_condition_true

T = TypeVar("T")

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FOOS = "/apis/example.com/v1/namespaces/default/foos"


def version(name: str = "v1", **more: Any) -> Obj:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "default": 1}, "host": {"type": "string"}},
    }
    status = {"type": "object", "properties": {"ready": {"type": "boolean"}, "size": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    return {"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}


def definition(*versions: Obj, plural: str = "foos", kind: str = "Foo", **spec: Any) -> Obj:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": list(versions or [version()]),
            **spec,
        },
    }


async def define(admin: User, crd: Obj) -> Obj:
    """Create it, and wait until it is established."""
    await admin.create(DEFINITIONS, crd)
    path = f"{DEFINITIONS}/{crd['metadata']['name']}"

    found: Obj = await reached(lambda: admin.get(path), lambda got: is_condition_true(got, "Established"))
    return found


def foo(name: str = "a", **spec: Any) -> Obj:
    return {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": name}, "spec": spec}


async def test_a_definition_is_served_at_once(admin: User) -> None:
    crd = await define(
        admin, definition(names={"plural": "foos", "kind": "Foo", "shortNames": ["f"], "categories": ["all"]})
    )
    assert crd["status"]["storedVersions"] == ["v1"]
    assert crd["status"]["acceptedNames"]["listKind"] == "FooList"
    [resource] = (await admin.get("/apis/example.com/v1"))["resources"]
    assert (resource["name"], resource["shortNames"], resource["categories"]) == ("foos", ["f"], ["all"])
    assert any(group["name"] == "example.com" for group in (await admin.get("/apis"))["groups"])
    index = await admin.get("/openapi/v3")
    assert "apis/example.com/v1" in index["paths"]
    document = await admin.get("/openapi/v3/apis/example.com/v1")
    assert "com.example.v1.Foo" in document["components"]["schemas"]
    old = await admin.get("/openapi/v2")
    assert "com.example.v1.Foo" in old["definitions"]
    assert "/apis/example.com/v1/namespaces/{namespace}/foos" in old["paths"]


async def test_what_was_counted_of_a_kind_goes_with_it(admin: User) -> None:
    async def counted() -> bool:
        return "example.com" in (await admin.call("GET", "/metrics")).expect(200)

    await define(admin, definition())
    await admin.create(FOOS, foo(host="x"))
    async with admin.watch(FOOS) as watch:
        await watch.next()
        assert await counted()
        await admin.call("DELETE", f"{DEFINITIONS}/foos.example.com")
        await reached(lambda: admin.call("GET", FOOS), lambda answer: answer.code == 404)
    await reached(counted, lambda still: not still)
    await define(admin, definition())
    await admin.create(FOOS, foo(host="x"))
    assert await counted()


async def test_objects_are_pruned_defaulted_and_counted(admin: User) -> None:
    await define(admin, definition(version(subresources={"status": {}})))
    created = await admin.create(FOOS, foo(host="x", nothing=1) | {"status": {"ready": True}})
    assert created["spec"] == {"host": "x", "size": 1}
    assert "status" not in created
    assert created["metadata"]["generation"] == 1
    changed = await admin.patch(f"{FOOS}/a", {"spec": {"size": 2}})
    assert changed["metadata"]["generation"] == 2
    status = await admin.patch(f"{FOOS}/a/status", {"status": {"ready": True}})
    assert (status["status"], status["metadata"]["generation"]) == ({"ready": True}, 2)


async def test_what_a_schema_gains_old_objects_have(admin: User) -> None:
    await define(admin, definition())
    await admin.create(FOOS, foo(host="x"))
    newer = version()
    spec = newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    spec["color"] = {"type": "string", "default": "red"}
    del spec["host"]
    path = f"{DEFINITIONS}/foos.example.com"
    await admin.patch(path, {"spec": {"versions": [newer]}})
    assert (await admin.get(f"{FOOS}/a"))["spec"] == {"size": 1, "color": "red"}
    [listed] = (await admin.get(FOOS))["items"]
    assert listed["spec"] == {"size": 1, "color": "red"}


async def test_names_are_of_who_came_first(admin: User) -> None:
    await define(admin, definition())
    await admin.create(DEFINITIONS, definition(plural="bars", kind="Foo"))

    async def conditions() -> dict[str, tuple[str, str]]:
        found = (await admin.get(f"{DEFINITIONS}/bars.example.com"))["status"].get("conditions") or ()
        return {each["type"]: (each["status"], each["reason"]) for each in found}

    refused = {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    await reached(conditions, lambda found: found == refused)
    await admin.call("DELETE", f"{DEFINITIONS}/foos.example.com")

    await reached(conditions, lambda found: found["Established"][0] == "True")


async def test_a_definition_takes_its_objects_along(admin: User) -> None:
    await define(admin, definition())
    held = foo("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await admin.create(FOOS, held)
    await admin.create(FOOS, foo("free"))
    ending = await admin.delete(f"{DEFINITIONS}/foos.example.com")
    assert ending["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]

    async def names() -> list[str]:
        return [each["metadata"]["name"] for each in (await admin.get(FOOS))["items"]]

    await reached(names, lambda found: found == ["held"])
    (await admin.call("POST", FOOS, foo("new"))).expect(405)
    await admin.patch(f"{FOOS}/held", {"metadata": {"finalizers": None}})

    async def code() -> int:
        return (await admin.call("GET", f"{DEFINITIONS}/foos.example.com")).code

    await reached(code, lambda found: found == 404)
    (await admin.call("GET", FOOS)).expect(404)


async def test_versions_without_conversion_differ_in_name_alone(admin: User) -> None:
    await define(admin, definition(version("v1"), version("v2", storage=False)))
    await admin.create(FOOS, foo(host="x"))
    other = await admin.get("/apis/example.com/v2/namespaces/default/foos/a")
    assert (other["apiVersion"], other["spec"]) == ("example.com/v2", {"host": "x", "size": 1})
    versions = (await admin.get("/apis/example.com"))["versions"]
    assert [each["version"] for each in versions] == ["v2", "v1"]


async def test_scales_are_where_the_definition_says(admin: User) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
    await define(admin, definition(version(subresources={"status": {}, "scale": paths})))
    await admin.create(FOOS, foo(size=3))
    scale = await admin.get(f"{FOOS}/a/scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 0})
    await admin.patch(f"{FOOS}/a/scale", {"spec": {"replicas": 5}})
    assert (await admin.get(f"{FOOS}/a"))["spec"]["size"] == 5


@pytest.mark.parametrize(("kind", "code"), [("strategic-merge-patch", 415), ("merge-patch", 200)])
async def test_patches(admin: User, kind: str, code: int) -> None:
    await define(admin, definition())
    await admin.create(FOOS, foo())
    answer = await admin.call(
        "PATCH", f"{FOOS}/a", {"spec": {"size": 2}}, content_type=f"application/{kind}+json"
    )
    answer.expect(code)


@pytest.fixture
async def converting(pki: Pki, cluster: Cluster) -> AsyncIterator[Webhooks]:
    async with webhooks(pki) as found:
        yield found


def by_webhook(hooks: Webhooks) -> Obj:
    webhook = {"clientConfig": hooks.client("convert"), "conversionReviewVersions": ["v1"]}
    first = version("v1", selectableFields=[{"jsonPath": ".spec.host"}])
    second = version("v2", storage=False)
    properties = second["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"] = {"type": "object", "properties": {"name": {"type": "string"}}}
    second["selectableFields"] = [{"jsonPath": ".spec.name"}]
    return definition(first, second, conversion={"strategy": "Webhook", "webhook": webhook})


def converted(request: Obj) -> Obj:
    """host of v1 is name in v2."""
    wanted, objects = request["desiredAPIVersion"], []
    for obj in request["objects"]:
        before, after = ("host", "name") if wanted.endswith("v2") else ("name", "host")
        spec = obj.get("spec") or {}
        spec = {after: spec[before]} if before in spec else {}
        objects.append({**obj, "apiVersion": wanted, "spec": spec})
    return {"result": {"status": "Success"}, "convertedObjects": objects}


async def test_a_webhook_converts(admin: User, converting: Webhooks) -> None:
    converting.answers["convert"] = converted
    await define(admin, by_webhook(converting))
    v2 = FOOS.replace("/v1/", "/v2/")
    body = {"apiVersion": "example.com/v2", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"name": "x"}}
    created = await admin.create(v2, body)
    assert (created["apiVersion"], created["spec"]) == ("example.com/v2", {"name": "x"})
    assert (await admin.get(f"{FOOS}/a"))["spec"] == {"host": "x", "size": 1}
    await admin.create(FOOS, foo("b", host="y"))
    found = (await admin.get(v2))["items"]
    assert [each["spec"] for each in found] == [{"name": "x"}, {"name": "y"}]
    selected = (await admin.get(f"{v2}?fieldSelector=spec.name%3Dy"))["items"]
    assert [each["metadata"]["name"] for each in selected] == ["b"]
    changed = await admin.patch(f"{v2}/b", {"spec": {"name": "z"}})
    assert changed["spec"] == {"name": "z"}
    assert (await admin.get(f"{FOOS}/b"))["spec"]["host"] == "z"
    (await admin.call("DELETE", f"{v2}/b")).expect(200)


async def apply(admin: User, version: str, manager: str, spec: Obj, **query: str) -> Answer:
    return await admin.call(
        "PATCH",
        f"{FOOS}/a".replace("/v1/", f"/{version}/"),
        foo() | {"apiVersion": f"example.com/{version}", "spec": spec},
        query={"fieldManager": manager, **query},
        content_type="application/apply-patch+yaml",
    )


def fields(obj: Obj) -> dict[str, tuple[str, Obj]]:
    """Which fields of the spec each manager has, and in which version."""
    return {
        each["manager"]: (each["apiVersion"], each["fieldsV1"].get("f:spec", {}))
        for each in obj["metadata"].get("managedFields") or []
    }


async def test_managers_of_other_versions_are_kept_by_a_webhook(admin: User, converting: Webhooks) -> None:
    converting.answers["convert"] = converted
    await define(admin, by_webhook(converting))
    (await apply(admin, "v2", "new", {"name": "x"})).expect(201)
    # Another field, in another version: what was applied is still the applier's.
    found = await admin.patch(f"{FOOS}/a", {"metadata": {"labels": {"a": "b"}}}, fieldManager="old")
    assert fields(found)["new"] == ("example.com/v2", {"f:name": {}})
    # The same field under its other name: taken by force alone.
    refused = (await apply(admin, "v1", "old", {"host": "y"})).expect(409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "new": .spec.name'
    taken = (await apply(admin, "v1", "old", {"host": "y"}, force="true")).expect(200)
    assert taken["spec"]["host"] == "y"
    assert "new" not in fields(taken)
    # What is not applied any more goes, though it was applied in the other version.
    left = (await apply(admin, "v2", "old", {})).expect(200)
    assert not left.get("spec")


async def test_where_a_webhook_fails_there_is_no_telling_whose_fields_are_whose(
    admin: User, converting: Webhooks
) -> None:
    converting.answers["convert"] = converted
    await define(admin, by_webhook(converting))
    (await apply(admin, "v2", "new", {"name": "x"})).expect(201)
    failed = {"result": {"status": "Failure", "message": "not today"}}
    converting.answers["convert"] = lambda request: failed
    refused = (await apply(admin, "v1", "old", {"host": "y"}, force="true")).expect(500)
    assert "not today" in refused["message"]
    assert "new" in fields(await admin.get(f"{FOOS}/a"))
    assert fields(await admin.patch(f"{FOOS}/a", {"spec": {"host": "y"}})) == {}


async def test_what_is_written_while_a_webhook_converts_is_of_later(
    admin: User, converting: Webhooks
) -> None:
    v2 = FOOS.replace("/v1/", "/v2/")
    converting.answers["convert"] = converted
    await define(admin, by_webhook(converting))

    async def once_more(name: str, chosen: Coroutine[Any, Any, T]) -> tuple[Obj, T]:
        """One more object is made while the answer to `chosen` waits for the webhook."""
        asked, made = asyncio.Event(), asyncio.Event()

        async def slowly(request: Obj) -> Obj:
            asked.set()
            await made.wait()
            return converted(request)

        await admin.create(FOOS, foo(f"before-{name}", host="x"))
        converting.answers["convert"] = slowly
        asking = asyncio.create_task(chosen)
        await asked.wait()
        late = await admin.create(FOOS, foo(f"while-{name}", host="x"))
        made.set()
        return late, await asking

    async with contextlib.AsyncExitStack() as stack:
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        opened = admin.watch(v2, fieldSelector="spec.name=x", allowWatchBookmarks="true", **query)
        late, watch = await once_more("watch", stack.enter_async_context(opened))
        assert await watch.names(1) == [("ADDED", "before-watch")]
        kind, bookmark = await watch.next()
        assert kind == "BOOKMARK"
        assert int(bookmark["metadata"]["resourceVersion"]) < int(late["metadata"]["resourceVersion"])
        assert await watch.names(1) == [("ADDED", "while-watch")]

    late, listed = await once_more("list", admin.get(v2, fieldSelector="spec.name=x"))
    names = [each["metadata"]["name"] for each in listed["items"]]
    assert names == ["before-list", "before-watch", "while-watch"]
    assert int(listed["metadata"]["resourceVersion"]) < int(late["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"result": {"status": "Failure", "message": "not today"}}, "not today"),
        ({"result": {"status": "Success"}, "convertedObjects": []}, "returned 0 objects, expected 1"),
        (None, "must have the same UID"),
    ],
)
async def test_what_a_webhook_must_not_answer(
    admin: User, converting: Webhooks, answer: Obj | None, said: str
) -> None:
    def wrong(request: Obj) -> Obj:
        good = converted(request)
        good["convertedObjects"][0]["metadata"]["uid"] = "other"
        return good

    converting.answers["convert"] = wrong if answer is None else lambda request: answer
    await define(admin, by_webhook(converting))
    await admin.create(FOOS, foo())
    error = (await admin.call("GET", f"{FOOS.replace('/v1/', '/v2/')}/a")).expect(500)
    assert error["message"].startswith(
        "Internal error occurred: conversion webhook for example.com/v1, Kind=Foo "
    )
    assert said in error["message"]
