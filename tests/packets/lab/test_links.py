from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packets.lab.network import Network
from wellhead.lab.cluster import Cluster


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    with Network(cluster.name, 2) as network:
        yield network


@pytest.mark.usefixtures("untouched_host")
def test_who_reaches_whom_and_as_whom(network: Network) -> None:
    network.serve("node-1", 8080)
    network.serve("node-2", 8080)
    network.serve("client", 8080)
    network.serve("control-plane", 6443)

    # 1:1 NAT, both ways.
    assert network.dial("client", "192.0.2.11", 8080) == "open 198.51.100.79"
    assert network.dial("client", "192.0.2.2", 6443) == "open 198.51.100.79"
    assert network.dial("node-1", "198.51.100.79", 8080) == "open 192.0.2.11"
    # On the nodes' own network there is no NAT; through an ExternalIP there is, for the answer's sake.
    assert network.dial("node-1", "10.240.0.12", 8080) == "open 10.240.0.11"
    assert network.dial("node-1", "192.0.2.12", 8080) == "open 192.0.2.11"
    # A closed port is refused: ICMP and resets find their way through the NAT.
    assert network.dial("client", "192.0.2.11", 8081) == "refused"
    # Nobody uses or reaches private addresses across the internet.
    assert network.dial_in_vain("client", "10.240.0.11", 8080) == "silence"
    assert network.dial_in_vain("cloud", "198.51.100.79", 8080) == "silence"
    # A ClusterIP that a node doesn't know ends at the edge.
    assert network.dial_in_vain("node-1", "10.0.3.4", 80) == "silence"


def test_the_same_in_ipv6_from_the_first_packet_on(network: Network) -> None:
    for machine, port in (("node-1", 8080), ("node-2", 8080), ("client", 8080), ("control-plane", 6443)):
        network.serve(machine, port)
    assert network.dial("client", "2001:db8:192::11", 8080) == "open 2001:db8:51::79"
    assert network.dial("client", "2001:db8:192::2", 6443) == "open 2001:db8:51::79"
    assert network.dial("node-1", "2001:db8:51::79", 8080) == "open 2001:db8:192::11"
    assert network.dial("node-1", "fd00:10:240::12", 8080) == "open fd00:10:240::11"
    assert network.dial("node-1", "2001:db8:192::12", 8080) == "open 2001:db8:192::11"
    assert network.dial("client", "2001:db8:192::11", 8081) == "refused"
    assert network.dial_in_vain("client", "fd00:10:240::11", 8080) == "silence"
    assert network.dial_in_vain("cloud", "2001:db8:51::79", 8080) == "silence"
    assert network.dial_in_vain("node-1", "fd00:10::304", 80) == "silence"


def test_links_are_as_wide_as_planned(network: Network) -> None:
    for machine, interface, mtu in (
        ("client", "eth0", "1500"),
        ("node-1", "eth0", "1600"),
        ("edge", "nodes", "1600"),
        ("edge", "internet", "1500"),
    ):
        assert network.read(machine, f"/sys/class/net/{interface}/mtu") == mtu


def test_kernel_settings_are_the_machines_own(network: Network) -> None:
    for machine, forwards in (("client", "0"), ("node-1", "1"), ("edge", "1"), ("cloud", "0")):
        assert network.read(machine, "/proc/sys/net/ipv4/ip_forward") == forwards
        assert network.read(machine, "/proc/sys/net/ipv6/conf/all/forwarding") == forwards
        assert network.read(machine, "/proc/sys/net/ipv6/conf/default/accept_ra") == "0"
    assert network.read("edge", "/proc/sys/net/ipv4/conf/all/rp_filter") == "0"
    assert network.read("node-1", "/proc/sys/net/ipv4/conf/eth0/rp_filter") == "2"


@pytest.mark.parametrize("machine", ["node-1", "client"])
def test_a_machine_that_was_switched_off_comes_back(network: Network, machine: str) -> None:
    network.switch_off(machine)
    network.switch_on(machine)
    assert network.repair() == [machine]
    assert network.repair() == []
    network.serve("node-1", 8080)
    assert network.dial("client", "192.0.2.11", 8080) == "open 198.51.100.79"
    assert network.dial("client", "2001:db8:192::11", 8080) == "open 2001:db8:51::79"


def test_who_was_there_before_learns_the_way_to_a_new_nodes_pods(network: Network) -> None:
    network.grow(3)
    routes = network.read("control-plane", "/proc/1/net/route")
    assert "0003F40A\t0D00F00A" in routes  # 10.244.3.0 by way of 10.240.0.13


def test_when_the_edge_comes_back_everybody_is_connected_again(network: Network) -> None:
    network.serve("node-1", 8080)
    network.switch_off("edge")
    network.switch_on("edge")
    assert set(network.repair()) == set(network.picture.names)
    assert network.dial("client", "192.0.2.11", 8080) == "open 198.51.100.79"
    assert network.dial("node-2", "10.240.0.11", 8080) == "open 10.240.0.12"
    assert network.dial("client", "2001:db8:192::11", 8080) == "open 2001:db8:51::79"
    assert network.dial("node-2", "fd00:10:240::11", 8080) == "open fd00:10:240::12"


def test_what_is_well_is_left_alone(network: Network) -> None:
    before = network.read("node-1", "/sys/class/net/eth0/ifindex")
    assert network.repair() == []
    assert network.read("node-1", "/sys/class/net/eth0/ifindex") == before


def test_two_clusters_have_the_same_addresses_and_nothing_in_common(
    cluster: Cluster, network: Network
) -> None:
    network.serve("node-1", 8080)
    with Network(f"{cluster.name}-2", 1) as other:
        assert other.dial("client", "192.0.2.11", 8080) == "refused"
        assert network.dial("client", "192.0.2.11", 8080) == "open 198.51.100.79"
