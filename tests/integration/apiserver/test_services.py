"""Addresses and node ports are given out once each, whatever goes wrong in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.objects import SERVICES, service
from tests.integration.apiserver.pki import Pki


async def test_concurrent_services_get_different_addresses_and_ports(admin: User) -> None:
    created = await asyncio.gather(
        *(admin.create(SERVICES, service(f"a{n}", type="NodePort")) for n in range(50))
    )
    assert len({each["spec"]["clusterIP"] for each in created}) == 50
    assert len({each["spec"]["ports"][0]["nodePort"] for each in created}) == 50


async def test_of_many_that_ask_for_one_address_one_gets_it(admin: User) -> None:
    answers = await asyncio.gather(
        *(admin.call("POST", SERVICES, service(f"a{n}", clusterIP="10.0.7.7")) for n in range(10))
    )
    assert sorted(answer.code for answer in answers) == [201] + [422] * 9
    refused = next(answer.body for answer in answers if answer.code == 422)
    assert "provided IP is already allocated" in refused["message"]


async def test_what_is_deleted_is_free_again(admin: User) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    wanted = service("a", type="NodePort", clusterIP="10.0.7.7", ports=ports)
    await admin.create(SERVICES, wanted)
    status = (await admin.call("POST", SERVICES, service("b", type="NodePort", ports=ports))).expect(422)
    assert status["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    assert "provided port is already allocated" in status["message"]
    await admin.delete(f"{SERVICES}/a")
    await admin.create(SERVICES, wanted)


async def test_a_change_of_type_frees_the_node_ports(admin: User) -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    await admin.create(SERVICES, service("a", type="NodePort", ports=ports))
    changed = await admin.patch(f"{SERVICES}/a", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in changed["spec"]["ports"][0]
    await admin.create(SERVICES, service("b", type="NodePort", ports=ports))


async def test_dry_runs_and_failures_leak_nothing(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, node_ports=range(30000, 30002)) as cluster:
        admin = await cluster.user()
        for _ in range(5):
            await admin.create(SERVICES, service("a", type="NodePort"), dryRun="All")
            await admin.call("POST", SERVICES, service("kubernetes", type="NodePort"))
        await admin.create(SERVICES, service("a", type="NodePort"))
        await admin.create(SERVICES, service("b", type="NodePort"))
        full = (await admin.call("POST", SERVICES, service("c", type="NodePort"))).expect(500)
        assert "range is full" in full["message"]


async def test_a_restart_remembers_what_is_taken(pki: Pki, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path}/db"
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        await admin.create(SERVICES, service("a", clusterIP="10.0.7.7"))
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        (await admin.call("POST", SERVICES, service("b", clusterIP="10.0.7.7"))).expect(422)
        await admin.delete(f"{SERVICES}/a")
        await admin.create(SERVICES, service("b", clusterIP="10.0.7.7"))


async def test_health_check_node_port_follows_the_policy(admin: User) -> None:
    path = f"{SERVICES}/a"
    await admin.create(SERVICES, service("a", type="LoadBalancer"))
    local = await admin.patch(path, {"spec": {"externalTrafficPolicy": "Local"}})
    assert local["spec"]["healthCheckNodePort"] in range(30000, 32768)
    cluster = await admin.patch(path, {"spec": {"externalTrafficPolicy": "Cluster"}})
    assert "healthCheckNodePort" not in cluster["spec"]


async def test_the_kubernetes_service_is_there_and_is_put_right(pki: Pki, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path}/db"
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        path = f"{SERVICES}/kubernetes"
        assert (await admin.get(path))["spec"]["clusterIP"] == "10.0.0.1"
        await admin.delete("/api/v1/namespaces/default/endpoints/kubernetes")
        await admin.patch(path, {"metadata": {"labels": {"mine": "x", "provider": None}}})
    async with serve(pki, tmp_path, storage) as cluster:
        admin = await cluster.user()
        labels = (await admin.get(path))["metadata"]["labels"]
        assert labels == {"component": "apiserver", "provider": "kubernetes", "mine": "x"}
        endpoints = await admin.get("/api/v1/namespaces/default/endpoints/kubernetes")
        assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.1"}]
        slices = await admin.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")
        assert slices["items"][0]["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
        namespaces = {item["metadata"]["name"] for item in (await admin.get("/api/v1/namespaces"))["items"]}
        assert namespaces == {"default", "kube-system", "kube-public", "kube-node-lease"}


@pytest.mark.parametrize("address", ["10.1.0.1", "10.0.0.0", "10.0.255.255"])
async def test_addresses_outside_of_the_range_are_refused(admin: User, address: str) -> None:
    status = (await admin.call("POST", SERVICES, service("a", clusterIP=address))).expect(422)
    assert "the provided network does not match the current range" in status["message"]


@pytest.mark.parametrize(
    ("ranges", "families", "cluster_ip", "endpoint"),
    [
        ("10.0.0.0/16,fd00:10::/112", ["IPv4"], "10.0.0.1", "192.0.2.1"),
        ("fd00:10::/112,10.0.0.0/16", ["IPv6"], "fd00:10::1", "2001:db8::1"),
        ("fd00:10::/112", ["IPv6"], "fd00:10::1", "2001:db8::1"),
    ],
)
async def test_the_kubernetes_service_has_the_primary_family_alone(
    pki: Pki, tmp_path: Path, ranges: str, families: list[str], cluster_ip: str, endpoint: str
) -> None:
    async with serve(pki, tmp_path, service_ranges=ranges) as cluster:
        admin = await cluster.user()
        spec = (await admin.get(f"{SERVICES}/kubernetes"))["spec"]
        assert (spec["clusterIPs"], spec["ipFamilies"]) == ([cluster_ip], families)
        assert spec["ipFamilyPolicy"] == "SingleStack"
        endpoints = await admin.get("/api/v1/namespaces/default/endpoints/kubernetes")
        assert endpoints["subsets"][0]["addresses"] == [{"ip": endpoint}]
        slices = await admin.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")
        assert [each["addressType"] for each in slices["items"]] == families
        # Services without a wish are of the primary family, too.
        assert (await admin.create(SERVICES, service("a")))["spec"]["ipFamilies"] == families


async def test_dual_stack_through_kubectl(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, service_ranges="10.0.0.0/16,fd00:10::/112") as cluster:
        both = service("both", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6", "IPv4"])
        await cluster.ok("create", "-f", "-", stdin=msgspec.json.encode(both).decode())
        shown = (await cluster.ok("get", "service", "both")).splitlines()
        assert shown[1].split()[2].startswith("fd00:10::")
        template = "-o=jsonpath={.spec.ipFamilies} {.spec.clusterIP} {.spec.clusterIPs[1]}"
        families, first, second = (await cluster.ok("get", "service", "both", template)).split()
        assert (families, ":" in first, second.startswith("10.0.")) == ('["IPv6","IPv4"]', True, True)
        released = '{"spec":{"ipFamilyPolicy":"SingleStack"}}'
        await cluster.ok("patch", "service", "both", "-p", released)
        taken = service("other", clusterIP=second)
        await cluster.ok("create", "-f", "-", stdin=msgspec.json.encode(taken).decode())
        refused = service("bad", ipFamilies=["IPv6", "IPv4"])
        code, output = await cluster.kubectl("create", "-f", "-", stdin=msgspec.json.encode(refused).decode())
        assert code == 1
        assert "when multiple IP families are specified" in output
