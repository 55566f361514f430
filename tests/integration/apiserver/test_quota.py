"""Quotas hold under any number of writers, and take nothing for what isn't stored."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.apiserver.cluster import User
from wellhead.api.meta import Obj

QUOTAS = "/api/v1/namespaces/default/resourcequotas"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def quota(admin: User) -> str:
    """Five ConfigMaps, and as a controller would have counted."""
    body: Obj = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "5"}}}
    made = await admin.create(QUOTAS, body)
    status = {"hard": {"count/configmaps": "5"}, "used": {"count/configmaps": "0"}}
    (await admin.call("PUT", f"{QUOTAS}/q/status", {**made, "status": status})).expect(200)
    return f"{QUOTAS}/q"


async def used(admin: User, quota: str) -> str:
    found: str = (await admin.get(quota))["status"]["used"]["count/configmaps"]
    return found


async def test_many_writers_get_no_more_than_there_is(admin: User, quota: str) -> None:
    bodies = [{"metadata": {"name": f"c{number}"}} for number in range(20)]
    answers = await asyncio.gather(*(admin.call("POST", CONFIGMAPS, body) for body in bodies))
    assert sorted(answer.code for answer in answers) == [201] * 5 + [403] * 15
    assert await used(admin, quota) == "5"


async def test_what_is_not_stored_takes_nothing(admin: User, quota: str) -> None:
    await admin.create(CONFIGMAPS, {"metadata": {"name": "a"}})
    (await admin.call("POST", CONFIGMAPS, {"metadata": {"name": "a"}})).expect(409)
    await admin.create(CONFIGMAPS, {"metadata": {"name": "b"}}, dryRun="All")
    assert await used(admin, quota) == "1"


async def test_some_kinds_want_to_be_told_the_version(admin: User) -> None:
    path = "/apis/node.k8s.io/v1/runtimeclasses"
    made = await admin.create(path, {"metadata": {"name": "r"}, "handler": "r"})
    del made["metadata"]["resourceVersion"]
    refused = (await admin.call("PUT", f"{path}/r", made)).expect(422)
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in refused["message"]


async def test_of_several_limit_ranges_the_first_that_refuses_says_why(admin: User) -> None:
    for name, size in (("a", "9Gi"), ("b", "2Gi"), ("c", "1Gi")):
        item = {"type": "PersistentVolumeClaim", "max": {"storage": size}}
        body: Obj = {"metadata": {"name": name}, "spec": {"limits": [item]}}
        await admin.create("/api/v1/namespaces/default/limitranges", body)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    answer = await admin.call("POST", claims, {"metadata": {"name": "a"}, "spec": spec})
    assert answer.expect(403)["message"] == (
        'persistentvolumeclaims "a" is forbidden: '
        "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi"
    )
