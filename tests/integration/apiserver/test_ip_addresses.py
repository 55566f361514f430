"""One IPAddress for each ClusterIP, written with its Service, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.objects import SERVICES, service
from tests.integration.apiserver.pki import Pki
from tests.patience import reached
from wellhead.api import resources
from wellhead.api.errors import ApiError
from wellhead.api.kinds.ipaddress import service_of
from wellhead.api.meta import Key, Obj, key
from wellhead.apiserver.address_keeper import AddressKeeper
from wellhead.apiserver.bootstrap import ensure_namespaces, ensure_service_ranges
from wellhead.apiserver.heads import head_of
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.registry.services import ServiceAllocator
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.memory import MemoryStore
from wellhead.storage.sqlite import SqliteStore
from wellhead.storage.store import StoreKey, Write

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
DUAL = "10.0.0.0/16,fd00:10::/112"


def taken(name: str, **labels: str) -> Obj:
    """An IPAddress that a user makes."""
    parent = {"group": "gateway.networking.k8s.io", "resource": "gateways", "name": "g", "namespace": "x"}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": name, "labels": labels},
        "spec": {"parentRef": parent},
    }


async def names(admin: User) -> set[str]:
    return {item["metadata"]["name"] for item in (await admin.get(ADDRESSES))["items"]}


async def test_they_come_and_go_with_the_service(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, service_ranges=DUAL) as cluster:
        admin = await cluster.user()
        made = await admin.create(SERVICES, service("a", ipFamilyPolicy="PreferDualStack"))
        first, second = made["spec"]["clusterIPs"]
        found = await admin.get(f"{ADDRESSES}/{second}")
        assert found["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "a"}
        assert found["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv6",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        await admin.patch(f"{SERVICES}/a", {"spec": {"ipFamilyPolicy": "SingleStack"}})
        assert await names(admin) == {"10.0.0.1", first}
        await admin.patch(f"{SERVICES}/a", {"spec": {"ipFamilyPolicy": "RequireDualStack"}})
        assert len(await names(admin)) == 3
        await admin.patch(f"{SERVICES}/a", {"spec": {"type": "ExternalName", "externalName": "example.com"}})
        assert await names(admin) == {"10.0.0.1"}
        await admin.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})
        assert len(await names(admin)) == 2
        await admin.delete(f"{SERVICES}/a")
        assert await names(admin) == {"10.0.0.1"}


async def test_a_dry_run_and_a_headless_service_make_none(admin: User) -> None:
    await admin.create(SERVICES, service("dry"), dryRun="All")
    await admin.create(SERVICES, service("headless", clusterIP="None"))
    assert await names(admin) == {"10.0.0.1"}


async def test_what_a_user_takes_no_service_gets(admin: User) -> None:
    await admin.create(ADDRESSES, taken("10.0.7.7"))
    refused = (await admin.call("POST", SERVICES, service("a", clusterIP="10.0.7.7"))).expect(422)
    assert "provided IP is already allocated" in refused["message"]
    (await admin.call("POST", ADDRESSES, taken("10.0.0.1"))).expect(409)
    await admin.delete(f"{ADDRESSES}/10.0.7.7")
    await admin.create(SERVICES, service("a", clusterIP="10.0.7.7"))


async def test_an_address_that_somebody_deletes_comes_back(admin: User) -> None:
    await admin.create(SERVICES, service("a", clusterIP="10.0.7.7"))
    await admin.delete(f"{ADDRESSES}/10.0.7.7")

    async def is_back() -> bool:
        return "10.0.7.7" in await names(admin)

    await reached(is_back)


async def test_a_start_repairs_what_is_missing_wrong_or_orphaned(pki: Pki, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path}/db"
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        for name, address in (("a", "10.0.7.7"), ("b", "10.0.7.8")):
            await admin.create(SERVICES, service(name, clusterIP=address))
        await admin.create(
            ADDRESSES, taken("10.0.9.9", **{"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
        )
        await admin.create(ADDRESSES, taken("10.0.9.10"))
        await admin.patch(f"{ADDRESSES}/10.0.7.8", {"metadata": {"labels": None}})
    await _delete_behind_the_servers_back(tmp_path / "db", "10.0.7.7")
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        assert await names(admin) == {"10.0.0.1", "10.0.7.7", "10.0.7.8", "10.0.9.10"}
        assert (await admin.get(f"{ADDRESSES}/10.0.7.7"))["spec"]["parentRef"]["name"] == "a"
        assert (await admin.get(f"{ADDRESSES}/10.0.7.8"))["metadata"]["labels"]


async def _delete_behind_the_servers_back(path: Path, address: str) -> None:
    store = SqliteStore(path)
    await store.open()
    try:
        name = StoreKey(resources.IPADDRESSES.storage_prefix, "", address)
        record = await store.get(name)
        assert record is not None
        await store.transact([Write(name, None, record.revision)])
    finally:
        await store.close()


async def test_what_is_refused(admin: User) -> None:
    async def problem(obj: Obj) -> str:
        return str((await admin.call("POST", ADDRESSES, obj)).expect(422)["message"])

    assert "must be a valid IP address" in await problem(taken("x"))
    assert 'must be in canonical form ("fd00::1")' in await problem(taken("fd00:0::1"))
    assert "spec.parentRef: Required value" in await problem({**taken("192.0.2.1"), "spec": {}})
    bad = {**taken("192.0.2.1"), "spec": {"parentRef": {"name": "a"}}}
    assert "spec.parentRef.resource: Required value" in await problem(bad)
    made = await admin.create(ADDRESSES, taken("192.0.2.1"))
    made["spec"]["parentRef"]["name"] = "other"
    changed = (await admin.call("PUT", f"{ADDRESSES}/192.0.2.1", made)).expect(422)
    assert "field is immutable" in changed["message"]


async def test_through_kubectl(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, service_ranges=DUAL) as cluster:
        both = service("web", clusterIP="fd00:10::7")
        await cluster.ok("create", "-f", "-", stdin=msgspec.json.encode(both).decode())
        table = (await cluster.ok("get", "ipaddress")).splitlines()
        assert table[0].split() == ["NAME", "PARENTREF"]
        assert [line.split()[:2] for line in table[1:]] == [
            ["10.0.0.1", "services/default/kubernetes"],
            ["fd00:10::7", "services/default/web"],
        ]
        assert "services/default/web" in await cluster.ok("get", "ip", "fd00:10::7")
        assert "Parent Ref" in await cluster.ok("describe", "ipaddress", "fd00:10::7")
        assert "parentRef" in await cluster.ok("explain", "ipaddress.spec")


# Any history, against the registry itself.

NAMES = st.sampled_from(["a", "b", "c", "d"])
ADDRESS = st.sampled_from(["10.0.0.2", "10.0.0.3", "10.0.0.4"])
POLICY = st.sampled_from(["SingleStack", "PreferDualStack", "RequireDualStack"])
STEP = st.one_of(
    st.tuples(st.just("create"), NAMES, ADDRESS | st.none(), POLICY, st.booleans()),
    st.tuples(st.just("change"), NAMES, POLICY),
    st.tuples(st.just("name"), NAMES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("take"), ADDRESS),
    st.tuples(st.just("free"), ADDRESS),
)


@contextlib.asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    store = MemoryStore()
    await store.open()
    cache = WatchCache(store, head_of)
    ranges = (ip_network("10.0.0.0/29"), ip_network("fd00::/125"))
    allocator = ServiceAllocator(cache, ("IPv4", "IPv6"), range(30000, 30010))
    async with contextlib.AsyncExitStack() as stack:
        following = asyncio.create_task(cache.run())
        stack.callback(following.cancel)
        await cache.started()
        allocator.start()
        keeper = asyncio.create_task(AddressKeeper(cache, allocator).run())
        stack.callback(keeper.cancel)
        made = Registry(cache, allocator)
        await ensure_namespaces(made)
        await ensure_service_ranges(made, ranges)
        yield made


async def take(registry: Registry, step: tuple[Any, ...]) -> None:
    match step:
        case "create", name, address, policy, dry:
            wanted = {"clusterIP": address} if address else {}
            new = service(name, ipFamilyPolicy=policy, **wanted)
            await registry.create(resources.SERVICES, "default", new, dry_run=dry)
        case "change", name, policy:
            await registry.update(
                resources.SERVICES,
                "default",
                name,
                lambda old: old | {"spec": old["spec"] | {"ipFamilyPolicy": policy}},
            )
        case "name", name:
            spec = {"type": "ExternalName", "externalName": "example.com"}
            await registry.update(
                resources.SERVICES, "default", name, lambda old: old | {"spec": old["spec"] | spec}
            )
        case "delete", name:
            await registry.delete(resources.SERVICES, "default", name, DeleteOptions())
        case "take", address:
            await registry.create(resources.IPADDRESSES, "", taken(address))
        case "free", address:
            await registry.delete(resources.IPADDRESSES, "", address, DeleteOptions())


def cluster_ips(registry: Registry) -> list[tuple[str, Key]]:
    return [
        (text, key(each))
        for each in (decode(item.data) for item in registry.collection(resources.SERVICES).items())
        for text in each["spec"].get("clusterIPs") or ()
        if text != "None"
    ]


def given_twice(registry: Registry) -> list[tuple[str, Key]]:
    owned = cluster_ips(registry)
    return [each for each in owned if dict(owned)[each[0]] != each[1]]


def disagreement(registry: Registry) -> str:
    owned = dict(cluster_ips(registry))
    addresses = [decode(item.data) for item in registry.collection(resources.IPADDRESSES).items()]
    kept = {each["metadata"]["name"]: found for each in addresses if (found := service_of(each)) is not None}
    return "" if owned == kept else f"{owned} but {kept}"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(STEP, min_size=1, max_size=4), min_size=1, max_size=8))
def test_after_any_history_services_and_addresses_agree(history: list[list[tuple[Any, ...]]]) -> None:
    async def run() -> None:
        async with registry() as made:
            for at_once in history:
                results = await asyncio.gather(
                    *(take(made, step) for step in at_once), return_exceptions=True
                )
                for result in results:
                    assert result is None or isinstance(result, ApiError), result
                assert not given_twice(made)

                async def agree() -> bool:  # an address that a user deleted is on its way back
                    return disagreement(made) == ""

                await reached(agree)

    asyncio.run(run())
