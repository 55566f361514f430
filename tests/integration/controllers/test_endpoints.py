"""Endpoints and EndpointSlices follow pods, against the real API server."""

from __future__ import annotations

from ipaddress import ip_address

from tests.integration.controllers.world import World, deployment, service
from wellhead.api.meta import Obj
from wellhead.api.resources import (
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
)


async def slices(world: World, name: str) -> list[Obj]:
    return await world.listed(ENDPOINTSLICES, f"kubernetes.io/service-name={name}")


def endpoints(found: list[Obj]) -> list[Obj]:
    return [endpoint for each in found for endpoint in each.get("endpoints") or []]


def ready(found: list[Obj]) -> int:
    return sum(each["conditions"]["ready"] for each in endpoints(found))


async def test_a_service_without_pods_has_an_empty_slice_and_empty_endpoints(world: World) -> None:
    await world.client.create(SERVICES, service("web"))
    [empty] = await world.until(lambda: slices(world, "web"), lambda found: len(found) == 1)
    assert not empty.get("endpoints")
    assert empty["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslice-controller.k8s.io"
    )
    assert empty["metadata"]["ownerReferences"][0]["kind"] == "Service"
    await world.until(
        lambda: world.listed(ENDPOINTS), lambda found: "web" in {e["metadata"]["name"] for e in found}
    )
    shown = await world.api.ok("get", "endpoints", "web")
    assert "<none>" in shown


async def test_ready_pods_become_endpoints_with_node_and_target(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web"))
    await world.client.create(SERVICES, service("web", "http"))
    [found] = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 3)
    assert [(p["port"], p["protocol"]) for p in found["ports"]] == [(8080, "TCP")]
    pods = {pod["metadata"]["uid"]: pod for pod in await world.listed(PODS, "app=web")}
    for endpoint in found["endpoints"]:
        pod = pods[endpoint["targetRef"]["uid"]]
        assert endpoint["addresses"] == [pod["status"]["podIP"]]
        assert endpoint["nodeName"] == pod["spec"]["nodeName"]

    async def classic() -> list[Obj]:
        return (await world.client.get(ENDPOINTS, "web", "default")).get("subsets") or []

    [subset] = await world.until(classic, lambda s: s and len(s[0].get("addresses") or []) == 3)
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]


async def test_a_dual_stack_service_has_slices_of_each_family_and_endpoints_of_the_first(
    world: World,
) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.client.create(
        SERVICES, service("web", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6", "IPv4"])
    )
    found = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 4)
    pods = [pod["status"]["podIPs"] for pod in await world.listed(PODS, "app=web")]
    for index, family in enumerate(("IPv4", "IPv6")):
        [one] = [each for each in found if each["addressType"] == family]
        listed = sorted(endpoint["addresses"][0] for endpoint in one["endpoints"])
        assert listed == sorted(str(ip_address(ips[index]["ip"])) for ips in pods)

    async def classic() -> list[Obj]:
        return (await world.client.get(ENDPOINTS, "web", "default")).get("subsets") or []

    [subset] = await world.until(classic, lambda s: s and len(s[0].get("addresses") or []) == 2)
    assert all(":" in address["ip"] for address in subset["addresses"])
    await world.client.patch(SERVICES, "web", {"spec": {"ipFamilyPolicy": "SingleStack"}}, "default")
    [left] = await world.until(lambda: slices(world, "web"), lambda found: len(found) == 1)
    assert left["addressType"] == "IPv6"


async def test_a_dual_stack_service_without_pods_has_an_empty_slice_of_each_family(world: World) -> None:
    await world.client.create(SERVICES, service("web", ipFamilyPolicy="PreferDualStack"))
    found = await world.until(lambda: slices(world, "web"), lambda found: len(found) == 2)
    assert {each["addressType"] for each in found} == {"IPv4", "IPv6"}
    assert not endpoints(found)


async def test_users_endpoints_of_both_families_are_mirrored_into_slices_of_each(world: World) -> None:
    await world.client.create(SERVICES, service("ext", selector=None, ipFamilyPolicy="RequireDualStack"))
    subset = {"addresses": [{"ip": "192.0.2.7"}, {"ip": "2001:DB8:0::7"}], "ports": [{"port": 9376}]}
    metadata = {"name": "ext", "namespace": "default"}
    await world.client.create(
        ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}
    )
    found = await world.until(lambda: slices(world, "ext"), lambda found: len(endpoints(found)) == 2)
    assert {each["addressType"]: each["endpoints"][0]["addresses"] for each in found} == {
        "IPv4": ["192.0.2.7"],
        "IPv6": ["2001:db8::7"],
    }


async def test_a_pod_that_stops_being_ready_stays_as_not_ready(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.client.create(SERVICES, service("web"))
    await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 2)
    [pod, _] = await world.listed(PODS, "app=web")
    world.agents.ready = lambda each: each["metadata"]["uid"] != pod["metadata"]["uid"]
    await world.client.patch(PODS, pod["metadata"]["name"], {"metadata": {"labels": {"x": "y"}}}, "default")
    found = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 1)
    assert len(endpoints(found)) == 2


async def test_scaling_to_zero_leaves_an_empty_slice(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 2))
    await world.client.create(SERVICES, service("web"))
    await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 2)
    await world.api.ok("scale", "deployment/web", "--replicas=0")
    found = await world.until(lambda: slices(world, "web"), lambda found: not endpoints(found))
    assert len(found) == 1


async def test_more_than_a_hundred_endpoints_take_more_slices(world: World) -> None:
    await world.client.create(SERVICES, service("web"))
    await world.client.create(DEPLOYMENTS, deployment("web", 130))
    found = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 130)
    assert all(len(each["endpoints"]) <= 100 for each in found)
    assert len(found) == 2


async def test_deleting_a_service_deletes_slices_and_endpoints(world: World) -> None:
    await world.client.create(SERVICES, service("web"))
    await world.until(lambda: slices(world, "web"), bool)
    await world.api.ok("delete", "service", "web")
    await world.until(lambda: slices(world, "web"), lambda found: not found)
    await world.gone(ENDPOINTS, "web")


async def test_a_headless_services_slices_are_labelled_for_proxies_to_ignore(world: World) -> None:
    await world.client.create(SERVICES, service("web", clusterIP="None"))
    [found] = await world.until(lambda: slices(world, "web"), bool)
    assert "service.kubernetes.io/headless" in found["metadata"]["labels"]


async def test_users_endpoints_of_a_service_without_selector_are_mirrored(world: World) -> None:
    await world.client.create(SERVICES, service("ext", selector=None))
    metadata = {"name": "ext", "namespace": "default"}
    subset = {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 9376}]}
    mine = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}
    created = await world.client.create(ENDPOINTS, mine)
    [found] = await world.until(lambda: slices(world, "ext"), lambda found: endpoints(found))
    assert endpoints([found])[0]["addresses"] == ["192.0.2.7"]
    managed_by = found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
    assert managed_by == "endpointslicemirroring-controller.k8s.io"
    more = {**subset, "addresses": [{"ip": "192.0.2.7"}, {"ip": "192.0.2.8"}]}
    await world.client.update(ENDPOINTS, {**created, "subsets": [more]})
    await world.until(lambda: slices(world, "ext"), lambda found: len(endpoints(found)) == 2)
    await world.client.delete(ENDPOINTS, "ext", "default")
    await world.until(lambda: slices(world, "ext"), lambda found: not found)


async def test_what_was_mirrored_goes_once_its_service_has_a_selector(world: World) -> None:
    await world.client.create(SERVICES, service("ext", selector=None))
    metadata = {"name": "ext", "namespace": "default"}
    subset = {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 9376}]}
    await world.client.create(
        ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}
    )
    await world.until(lambda: slices(world, "ext"), lambda found: endpoints(found))
    await world.client.patch(SERVICES, "ext", {"spec": {"selector": {"app": "web"}}}, "default")
    [found] = await world.until(lambda: slices(world, "ext"), lambda found: found and not endpoints(found))
    managed_by = found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
    assert managed_by == "endpointslice-controller.k8s.io"


async def test_a_slice_that_somebody_deletes_or_changes_comes_back(world: World) -> None:
    await world.client.create(DEPLOYMENTS, deployment("web", 1))
    await world.client.create(SERVICES, service("web"))
    [found] = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 1)
    await world.client.update(ENDPOINTSLICES, {**found, "endpoints": []})
    [found] = await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 1)
    await world.client.delete(ENDPOINTSLICES, found["metadata"]["name"], "default")
    await world.until(lambda: slices(world, "web"), lambda found: ready(found) == 1)


async def test_endpoints_that_a_quota_refuses_are_tried_again_and_told_of(world: World) -> None:
    hard = {"count/endpoints": "0", "count/endpointslices.discovery.k8s.io": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard}}
    named = {"metadata": {"name": "none", "namespace": "default"}}
    await world.client.create(RESOURCEQUOTAS, quota | named)
    await world.client.create(SERVICES, service("refused"))

    async def reasons() -> set[str]:
        events = await world.listed(EVENTS)
        return {each["reason"] for each in events if each["involvedObject"]["name"] == "refused"}

    told = {"FailedToCreateEndpoint", "FailedToUpdateEndpointSlices"}
    await world.until(reasons, lambda found: found >= told)
    await world.client.delete(RESOURCEQUOTAS, "none", "default")
    await world.until(lambda: slices(world, "refused"), bool)
    await world.until(
        lambda: world.listed(ENDPOINTS), lambda found: "refused" in {e["metadata"]["name"] for e in found}
    )
