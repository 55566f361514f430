"""API servers on one etcd: what one has acknowledged, each shows; what one gives out, no other does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.etcd import Etcd, running
from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.objects import configmap
from tests.integration.apiserver.pki import Pki
from tests.patience import PATIENCE, reached
from wellhead.api.limits import Limits
from wellhead.api.meta import Obj
from wellhead.apiserver.peers import DURATION, Sighting, alive

# Writes that stand in each other's way take a commit each, and a disk that others use may take long for one.
_UNHURRIED = Limits(request_seconds=10 * PATIENCE)
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTSLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with running(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd


@pytest.fixture
async def servers(etcd: Etcd, pki: Pki, tmp_path: Path) -> AsyncIterator[tuple[User, User]]:
    async with contextlib.AsyncExitStack() as stack:
        # At the same time, so that both find nothing there.
        first, second = await asyncio.gather(
            *(
                stack.enter_async_context(
                    serve(
                        pki,
                        tmp_path,
                        etcd.storage,
                        range(30000, 30064),
                        advertised=address,
                        limits=_UNHURRIED,
                    )
                )
                for address in ("192.0.2.1", "192.0.2.2")
            )
        )
        yield await first.user(), await second.user()


async def _addresses(user: User) -> list[str]:
    endpointslice = await user.get(ENDPOINTSLICE)
    return [address for endpoint in endpointslice["endpoints"] for address in endpoint["addresses"]]


def _service(name: str) -> Obj:
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def test_several_servers_are_one_api(servers: tuple[User, User], pki: Pki, tmp_path: Path) -> None:
    one, other = servers
    await reached(lambda: _addresses(one), lambda found: sorted(found) == ["192.0.2.1", "192.0.2.2"])

    # What one has acknowledged, the other shows at once: read, listed, watched, and in what it lets happen.
    for number in range(30):
        created = await one.create(CONFIGMAPS, configmap(f"a{number}"))
        found = await other.get(f"{CONFIGMAPS}/a{number}")
        assert found == created
        changed = await other.update(f"{CONFIGMAPS}/a{number}", {**found, "data": {"by": "other"}})
        assert await one.get(f"{CONFIGMAPS}/a{number}") == changed
        await one.delete(f"{CONFIGMAPS}/a{number}")
        (await other.call("GET", f"{CONFIGMAPS}/a{number}")).expect(404)
    version = (await one.get(CONFIGMAPS))["metadata"]["resourceVersion"]
    async with other.watch(CONFIGMAPS, resourceVersion=version) as watch:
        await one.create(CONFIGMAPS, configmap("seen"))
        assert await watch.names(1) == [("ADDED", "seen")]

    # Who is overtaken hears of it.
    stale = await one.get(f"{CONFIGMAPS}/seen")
    await other.update(f"{CONFIGMAPS}/seen", {**stale, "data": {"a": "1"}})
    answer = await one.call("PUT", f"{CONFIGMAPS}/seen", {**stale, "data": {"a": "2"}})
    assert answer.expect(409)["reason"] == "Conflict"
    twice = await asyncio.gather(
        *(user.call("POST", CONFIGMAPS, configmap("once")) for user in servers for _ in range(5))
    )
    assert sorted(answer.code for answer in twice) == [201] + [409] * 9


async def test_no_address_and_no_node_port_is_given_out_twice(servers: tuple[User, User]) -> None:
    one, other = servers
    created = await asyncio.gather(
        *(servers[number % 2].create(SERVICES, _service(f"s{number}")) for number in range(64))
    )
    assert len({service["spec"]["clusterIP"] for service in created}) == 64
    ports = [service["spec"]["ports"][0]["nodePort"] for service in created]
    assert sorted(ports) == list(range(30000, 30064))
    full = (await other.call("POST", SERVICES, _service("none-left"))).expect(500)
    assert "range is full" in full["message"]
    await one.delete(f"{SERVICES}/s0")
    await other.create(SERVICES, _service("again"))
    for number in range(1, 64):
        await other.delete(f"{SERVICES}/s{number}")
    await one.delete(f"{SERVICES}/again")


async def test_a_server_that_leaves_is_no_endpoint(
    etcd: Etcd, servers: tuple[User, User], pki: Pki, tmp_path: Path
) -> None:
    one, _ = servers
    async with serve(pki, tmp_path, etcd.storage, range(30000, 30064), advertised="192.0.2.3"):
        await reached(lambda: _addresses(one), lambda found: "192.0.2.3" in found)
    assert "192.0.2.3" not in await _addresses(one)


def test_a_server_that_has_not_renewed_its_lease_is_gone() -> None:
    seen = alive({}, {"a": "12:00", "b": "12:00"}, 100.0)
    assert seen == {"a": Sighting("12:00", 100.0), "b": Sighting("12:00", 100.0)}
    seen = alive(seen, {"a": "12:05", "b": "12:00", "c": "09:00"}, 100.0 + DURATION - 1)
    assert set(seen) == {"a", "b", "c"}
    seen = alive(seen, {"a": "12:05", "b": "12:00", "c": "09:01"}, 100.0 + DURATION)
    assert set(seen) == {"a", "c"}
