"""StorageVersionMigrations: objects are stored anew, in the version that is stored today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api.meta import Obj, is_condition_true

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MIGRATIONS = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
THINGS = "/apis/example.com/{}/namespaces/default/things"


def definition(stored: str) -> Any:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": name, "served": True, "storage": name == stored, "schema": schema} for name in ("v1", "v2")
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": versions,
        },
    }


async def migrated(admin: User, name: str, state: str) -> Obj:
    async def ask() -> Any:
        return await admin.get(f"{MIGRATIONS}/{name}")

    found: Obj = await reached(ask, lambda obj: is_condition_true(obj, state))
    return found


async def test_objects_are_written_anew_in_the_stored_version(pki: Pki, tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    async with serve(pki, tmp_path, storage=f"sqlite:{database}") as cluster:
        admin = await cluster.user()
        await admin.create(DEFINITIONS, definition("v1"))
        await reached(lambda: admin.call("GET", THINGS.format("v2")), lambda answer: answer.code == 200)
        for number in range(3):
            thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": f"t{number}"}}
            await admin.create(THINGS.format("v1"), thing)
        await admin.patch(f"{DEFINITIONS}/things.example.com", {"spec": definition("v2")["spec"]})
        before = await admin.get(THINGS.format("v2"))
        spec = {"resource": {"group": "example.com", "resource": "things"}}
        await admin.create(MIGRATIONS, {"metadata": {"name": "m"}, "spec": spec})
        done = await migrated(admin, "m", "Succeeded")
        assert not is_condition_true(done, "Running")
        assert done["status"]["resourceVersion"]
        after = await admin.get(THINGS.format("v2"))
        versions = [
            [each["metadata"]["resourceVersion"] for each in items["items"]] for items in (before, after)
        ]
        assert set(versions[0]).isdisjoint(versions[1])
        # What is stored so already is left alone.
        await admin.create(MIGRATIONS, {"metadata": {"name": "again"}, "spec": spec})
        await migrated(admin, "again", "Succeeded")
        again = await admin.get(THINGS.format("v2"))
        assert [each["metadata"]["resourceVersion"] for each in again["items"]] == versions[1]
        assert "Succeeded" in await cluster.ok("get", "storageversionmigrations")
