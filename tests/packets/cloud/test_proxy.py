"""The terminating proxy with real packets: API server, `wellhead cloud`, HAProxy, a server on each node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.packets.cloud.backend import Answer, fetch
from tests.packets.cloud.conftest import ipv6
from tests.packets.cloud.control import Obj
from tests.packets.cloud.proxied import World, proxied
from tests.patience import reached

if TYPE_CHECKING:
    from tests.packets.cloud.conftest import Network
    from tests.packets.cloud.control import Control

pytestmark = pytest.mark.cluster

CLIENT = "198.51.100.79"
ONE, TWO, THREE = (IPv4Address(f"10.240.0.{host}") for host in (11, 12, 13))
ALL = {str(ONE), str(TWO), str(THREE)}
PROXY = "10.240.0.3"


SPOOFED = (
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-FOR: 6.6.6.7",
    "X_Forwarded_For: 6.6.6.8",
    "Forwarded: for=6.6.6.6",
    "Connection: X-Forwarded-For, Forwarded",
)


async def test_each_way_carries_the_clients_address_and_none_believes_the_client(world: World) -> None:
    http = [{"port": 80, "name": "http"}]
    ways: dict[str, dict[str, object]] = {
        "none": {},
        "x-forwarded-for": {},
        "forwarded": {},
        "proxy-v1": {},
        "proxy-v2": {},
        "default-http": {"ports": http},
        "default-other": {},
    }
    for name, spec in ways.items():
        way = None if name.startswith("default") else name
        vip = await world.service(name, way, **spec)
        answer = await world.get(vip, *SPOOFED)
        assert answer.peer == PROXY  # stands here for the node that masquerades
        forwarded, forwarded_for = answer.headers.get("forwarded"), answer.headers.get("x-forwarded-for")
        expected = [f"for={CLIENT};by={vip};proto=http"]
        match name:
            case "none" | "default-other":
                assert (answer.proxy, forwarded) == ("none", ["for=6.6.6.6"])
            case "x-forwarded-for":
                assert (answer.proxy, forwarded_for, forwarded) == ("none", [CLIENT], None)
            case "forwarded":
                assert (answer.proxy, forwarded_for, forwarded) == ("none", None, expected)
            case "default-http":
                assert (answer.proxy, forwarded_for, forwarded) == ("none", [CLIENT], expected)
            case "proxy-v1":
                assert answer.proxy == f"v1 {CLIENT} {vip}"
            case "proxy-v2":
                assert answer.proxy == f"v2 {CLIENT} {vip}"
        if name in ("x-forwarded-for", "forwarded", "default-http"):
            assert "6.6.6" not in str(answer.headers)
            assert "orwarded" not in str(answer.headers["connection"])
        assert await world.nodes(vip, 9) == ALL
    assert world.control.status()["loadBalancers"][0]["loadBalancerClass"] == "wellhead.dev/proxy"


async def test_large_headers_pass_both_ways_up_to_the_limit(world: World) -> None:
    vip = await world.service(ports=[{"port": 80, "name": "http"}])
    answer = await world.get(vip, *(f"X-{number}: some" for number in range(150)), f"Cookie: {'x' * 20_000}")
    assert len(answer.headers["cookie"][0]) == 20_000
    assert (await world.get(vip, f"X-Ask: {'y' * 20_000}")).headers["x-ask"] == ["y" * 20_000]
    with pytest.raises(EOFError, match=" 400 "):
        await world.get(vip, f"Cookie: {'x' * 34_000}")


async def test_source_ranges_and_affinity_are_the_proxys_business(world: World) -> None:
    other = "198.51.100.80"
    world.network.client.run(f"ip addr add {other}/24 dev eth0")
    vip = await world.service(loadBalancerSourceRanges=[f"{CLIENT}/32"])
    assert (await world.get(vip)).node in ALL
    with pytest.raises((OSError, EOFError)):
        await world.get(vip, source=other)
    world.patch('{"loadBalancerSourceRanges":null,"sessionAffinity":"ClientIP"}')
    await until_nodes(world, vip, lambda found: len(found) == 1)
    (mine,) = await world.nodes(vip)
    (others,) = await world.nodes(vip, source=other)
    # A node that goes out loses its clients to others, who keep them when it is back, also over a reload.
    node = next(number for number, address in enumerate(world.network.nodes, 1) if str(address) == mine)
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    world.control.kubectl("label", "node", f"node-{node}", f"{label}=true")
    await until_nodes(world, vip, lambda found: mine not in found)
    (new,) = await world.nodes(vip)
    world.control.kubectl("label", "node", f"node-{node}", f"{label}-")
    await world.control.until(lambda: world.states()[node - 1] == "in")
    await world.hands_over()
    await world.service("another")
    assert await world.nodes(vip) == {new}
    assert await world.nodes(vip, source=other) == {others if others != mine else new}


def tells_by(proxy: str, answer: Answer) -> bool:
    return answer.proxy.startswith(proxy)


async def refused(world: World, vip: str) -> bool:
    try:
        await world.get(vip)
    except (OSError, EOFError):
        return True
    return False


async def until_nodes(world: World, vip: str, condition: Callable[[set[str]], bool]) -> None:
    async def served() -> bool:
        with contextlib.suppress(EOFError, OSError):
            return condition(await world.nodes(vip))
        return False

    await reached(served)


async def test_policy_local_uses_the_nodes_whose_own_check_passes_without_a_reload(world: World) -> None:
    vip = await world.service(externalTrafficPolicy="Local")
    with pytest.raises((OSError, EOFError)):
        await world.get(vip)
    check = world.control.service()["spec"]["healthCheckNodePort"]
    reloads = world.control.status()["proxy"]["reloads"]
    await world.network.serve_health(TWO, check)
    await until_nodes(world, vip, lambda found: found == {str(TWO)})
    assert world.states() == ["out", "in", "out"]
    await world.network.serve_health(THREE, check)
    await until_nodes(world, vip, lambda found: found == {str(TWO), str(THREE)})
    await world.control.until(lambda: "UpdatedLoadBalancer" in world.control.events())
    # A node that drains keeps what it has.
    downloads = [await world.download(vip) for _ in range(6)]
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    world.control.kubectl("label", "node", "node-3", f"{label}=true")
    await until_nodes(world, vip, lambda found: found == {str(TWO)})
    await world.backends.drip()
    assert all([await download.goes_on() for download in downloads])
    assert world.control.status()["proxy"]["reloads"] == reloads


async def test_connections_outlive_reloads_and_controllers_and_end_with_their_service(
    world: World,
) -> None:
    vip = await world.service()
    first = await world.download(vip)
    haproxy = world.haproxy()
    other = await world.service("another", "proxy-v2")
    await world.backends.drip()
    assert await first.goes_on()
    assert world.haproxy() == haproxy

    world.control.kill_cloud()
    second = await world.download(vip)
    await world.backends.drip()
    assert [await first.goes_on(), await second.goes_on()] == [True, True]
    world.control.kubectl("delete", "service", "another", "--wait=false")
    world.control.start_cloud()
    await world.control.until(lambda: world.names() == ["web"])
    await world.control.until(lambda: world.haproxy() == haproxy)
    # Its finalizer goes when nothing leads to it any more.
    await world.control.until(lambda: "another" not in world.control.kubectl("get", "services"))
    await world.backends.drip()
    assert [await first.goes_on(), await second.goes_on()] == [True, True]
    assert (await world.get(vip)).node in ALL
    await world.network.connect_in_vain(ip_address(other))

    # Nothing of a Service is left: no way, no address, no listener, no connection.
    world.control.kubectl("delete", "service", "web")
    assert [await first.ended(), await second.ended()] == [True, True]
    for left in (
        lambda: "proto 90" in routes(world),
        lambda: "\nlisten " in (world.control.state / "haproxy.cfg").read_text(),
        lambda: ":80" in world.control.host.run("ss -Hltn"),
        lambda: "elements" in world.network.edge.run("nft list set ip wellhead-forwarder terminated"),
        lambda: "elements" in world.network.edge.run("nft list map ip wellhead-forwarder frontends"),
    ):
        await world.control.until(lambda left=left: not left())  # type: ignore[misc]


def routes(world: World) -> str:
    return world.control.host.run("ip -N route show table local")


async def test_a_node_that_dies_loses_its_connections_and_no_other(world: World) -> None:
    vip = await world.service()
    downloads = [await world.download(vip) for _ in range(6)]
    world.network.nodes[TWO].run("ip link set eth0 down")
    await world.control.until(lambda: " is dead" in world.control.log("cloud"))
    await until_nodes(world, vip, lambda found: found == {str(ONE), str(THREE)})
    ends = {asyncio.ensure_future(each.ended()): each for each in downloads}
    await reached(lambda: sum(end.done() for end in ends) >= 2)
    going_on = [download for end, download in ends.items() if end.cancel()]
    await asyncio.gather(*ends, return_exceptions=True)
    await world.backends.drip()
    assert [await each.goes_on() for each in going_on] == [True] * 4
    world.control.kubectl("delete", "node", "node-2")
    await world.control.until(lambda: len(world.states()) == 2)
    assert await world.nodes(vip) == {str(ONE), str(THREE)}


async def test_haproxy_is_started_again_when_it_ends_and_cleanup_ends_it_for_good(world: World) -> None:
    vip = await world.service()
    before = world.haproxy()
    os.kill(before, signal.SIGKILL)
    await world.control.until(lambda: world.haproxy() != before)
    await until_nodes(world, vip, lambda found: found <= ALL)

    haproxy = world.haproxy()
    world.control.kill_cloud()
    world.control.clean_up()
    await reached(lambda: not is_running(haproxy))
    assert "proto 90" not in routes(world)
    assert not world.control.state.exists()
    assert "wellhead-forwarder" not in world.network.edge.run("nft list tables")


def is_running(pid: int) -> bool:
    """Whether the process is there, and not only waits for its parent to take note of its end."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_what_cannot_be_done_is_said_and_disturbs_nobody(world: World) -> None:
    vip = await world.service()
    download = await world.download(vip)
    wrong = {
        "dns": proxied("dns", ports=[{"port": 53, "protocol": "UDP"}]),
        "pigeon": proxied("pigeon", "via-pigeon"),
        "direct": proxied("direct", allocateLoadBalancerNodePorts=False),
        "taken": proxied("taken", loadBalancerIP=vip),
    }
    for obj in wrong.values():
        world.control.create(obj)
    reasons = (
        "protocol UDP is beyond a terminating proxy",
        "'via-pigeon' is none of none, x-forwarded-for",
        "endpoints can't be dialled",
        f"{vip} is already in use by Service default/web",
    )
    await world.control.until(lambda: all(reason in world.control.events() for reason in reasons))
    assert [world.control.vip(name) for name in wrong] == [""] * len(wrong)
    await world.backends.drip()
    assert await download.goes_on()
    assert (await world.get(vip)).node in ALL


async def test_nodes_dial_a_proxy_as_clients_do(world: World) -> None:
    vip = await world.service("web", "proxy-v2")
    answer = await fetch(world.network.nodes[ONE], vip, 80)
    assert answer.proxy == f"v2 {ONE} {vip}"


async def test_without_node_ports_endpoints_are_dialled_as_they_come_and_go(
    network: Network, control: Control
) -> None:
    world = World(network, control)
    for node, host in network.nodes.items():
        await world.backends.serve(host, node, 9000)
    try:
        control.create(proxied("web", allocateLoadBalancerNodePorts=False))
        control.create(endpoints(ONE))
        control.start_cloud("--proxy-dials-endpoints")
        await control.until(control.vip)
        vip = control.vip().split()[0]
        assert await world.nodes(vip, 6) == {str(ONE)}
        reloads = control.status()["proxy"]["reloads"]
        control.kubectl("replace", "--validate=false", "-f", "-", stdin=endpoints(TWO, THREE))
        await until_nodes(world, vip, lambda found: found == {str(TWO), str(THREE)})
        assert control.status()["proxy"]["reloads"] == reloads
    finally:
        world.close()


def endpoints(*addresses: IPv4Address) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(address)]} for address in addresses],
        "ports": [{"name": "", "port": 9000, "protocol": "TCP"}],
    }


async def test_an_ipv6_client_is_told_of_in_every_way_and_ranges_count_for_its_family(world: World) -> None:
    client, expected = "2001:db8:51::79", {str(ipv6(node)) for node in (ONE, TWO, THREE)}
    vip = await world.service(
        "both",
        ipFamilyPolicy="RequireDualStack",
        ipFamilies=["IPv6", "IPv4"],
        ports=[{"port": 80, "name": "http"}],
        loadBalancerSourceRanges=["2001:db8:51::/64"],
    )
    answer = await world.get(vip)
    assert answer.node in expected
    assert answer.peer == "fd00:10:240::3"
    assert answer.headers["forwarded"] == [f'for="[{client}]";by="[{vip}]";proto=http']
    assert answer.headers["x-forwarded-for"] == [client]
    second = world.control.service("both")["status"]["loadBalancer"]["ingress"][1]["ip"]
    assert (await world.first(second)).headers["x-forwarded-for"] == [CLIENT]
    for version, proxy in (("proxy-v1", "v1"), ("proxy-v2", "v2")):
        world.control.kubectl(
            "annotate", "--overwrite", "service", "both", f"wellhead.dev/client-ip={version}"
        )
        answer = await reached(partial(world.get, vip), partial(tells_by, proxy))
        assert answer.proxy == f"{proxy} {client} {vip}"
    world.patch('{"loadBalancerSourceRanges":["2001:db8:52::/64"]}', "both")
    await world.control.until(lambda: "2001:db8:52" in (world.control.state / "haproxy.cfg").read_text())
    await reached(partial(refused, world, vip))
    assert (await world.first(second)).proxy == answer.proxy.replace(client, CLIENT).replace(vip, second)


async def test_a_port_that_another_program_has_costs_only_that_service_its_balancer(world: World) -> None:
    other = world.control.host.socket(socket.SOCK_STREAM)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.bind(("0.0.0.0", 2222))
    other.listen()
    world.control.create(proxied("taken", ports=[{"port": 2222}]))
    await world.control.until(lambda: "port 2222: another program listens there" in world.control.events())
    vip = await world.service()
    assert (await world.get(vip)).peer == PROXY
    assert world.control.vip("taken") == ""
    world.patch('{"ports":[{"port":80,"name":"a"},{"port":2222,"name":"b"}]}')
    await world.control.until(lambda: len(world.control.status()["refused"]) == 2)
    assert (await world.get(vip)).peer == PROXY  # it keeps what it had
    reloads = world.control.status()["proxy"]["reloads"]
    other.close()
    await world.control.until(lambda: world.control.vip("taken"))
    await world.control.until(lambda: not world.control.status()["refused"])
    assert world.control.status()["proxy"]["reloads"] > reloads
