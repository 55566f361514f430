from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from wellhead.lab.addresses import IpFamily
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.components import PRELOADS, Component, components


def _components(nodes: int = 2, ip_family: IpFamily = "ipv4") -> dict[tuple[str, str], Component]:
    spec = ClusterSpec(name="test", nodes=nodes, proxy_mode="nftables", api_port=6443, ip_family=ip_family)
    return {each.key: each for each in components(Cluster("test", Path("/state")), spec)}


def _flags(component: Component) -> dict[str, str]:
    valued = [argument for argument in component.argv[1:] if argument != "--proxy-dials-endpoints"]
    return dict(zip(valued[::2], valued[1::2], strict=True))


def test_where_everything_runs() -> None:
    assert set(_components()) == {
        ("control-plane", "apiserver"),
        ("control-plane", "controller-manager"),
        ("control-plane", "scheduler"),
        ("control-plane", "dns"),
        ("cloud", "cloud"),
        *((node, name) for node in ("node-1", "node-2") for name in ("node-agent", "proxy", "policy")),
    }


def test_several_control_planes_share_an_etcd_and_elect_leaders() -> None:
    spec = ClusterSpec(
        name="test", nodes=2, proxy_mode="nftables", api_port=1, storage="etcd", control_planes=3
    )
    found = {each.key: " ".join(each.argv) for each in components(Cluster("test", Path("/state")), spec)}
    for machine, address in (
        ("control-plane", "10.240.0.2"),
        ("control-plane-2", "10.240.0.4"),
        ("control-plane-3", "10.240.0.5"),
    ):
        member = found[machine, "etcd-member"]
        assert f"--listen-client-urls https://{address}:2379" in member
        assert f"{machine}=https://{address}:2380" in found["control-plane", "etcd-member"]
        server = found[machine, "apiserver"]
        endpoints = ",".join(f"https://10.240.0.{host}:2379" for host in (2, 4, 5))
        assert f"--storage etcd={endpoints}" in server
        assert f"--advertise-address {address}" in server
        assert found[machine, "scheduler"].endswith("--leader-elect")
        assert found[machine, "controller-manager"].endswith("--leader-elect")
        assert f"--bind-address {address} " in found[machine, "dns"]
        assert f"/kubeconfigs/dns{machine.removeprefix('control-plane')} " in found[machine, "dns"]


def test_each_is_run_by_the_command_of_its_name() -> None:
    for (_, name), component in _components().items():
        assert component.argv[0] == name
        assert name in PRELOADS


def test_a_node_s_components_can_share_a_process() -> None:
    spec = ClusterSpec(
        name="test", nodes=2, proxy_mode="nftables", api_port=1, without=("proxy",), node_processes="one"
    )
    cluster = Cluster("test", Path("/state"))
    found = {each.key: each for each in components(cluster, spec)}
    assert [name for machine, name in found if machine == "node-2"] == ["node"]
    node = found["node-2", "node"]
    assert node.parts == ("policy", "node-agent")
    apart = {each.key: each for each in components(cluster, replace(spec, node_processes="each"))}
    lines = [apart["node-2", name] for name in node.parts]
    assert node.argv == ("node", *lines[0].argv, "+", *lines[1].argv)
    assert node.belongings is not None
    kept = {file for line in lines if line.belongings for file in line.belongings.files}
    assert set(node.belongings.files) == kept


def test_policies_are_enforced_before_there_are_pods() -> None:
    names = [name for _, name in _components()]
    assert names.index("policy") < names.index("node-agent")
    assert _flags(_components()["node-2", "policy"])["--node-name"] == "node-2"


def test_a_node_agent_is_told_who_it_is() -> None:
    flags = _flags(_components()["node-2", "node-agent"])
    assert flags["--node-name"] == "node-2"
    assert flags["--node-ip"] == "10.240.0.12"
    assert flags["--external-ip"] == "192.0.2.12"
    assert flags["--pod-cidr"] == "10.244.2.0/24"
    assert flags["--root-dir"] == "/state/test/nodes/node-2"


def test_every_agent_is_told_whose_pods_may_spoof() -> None:
    spec = ClusterSpec(name="test", nodes=2, proxy_mode="nftables", api_port=1, spoofing=("one", "two"))
    agents = [each for each in components(Cluster("test", Path("/state")), spec) if each.name == "node-agent"]
    for agent in agents:
        assert " ".join(agent.argv).count("--allow-spoofing one --allow-spoofing two") == 1
    assert "--allow-spoofing" not in _flags(_components()["node-1", "node-agent"])


def test_the_proxy_runs_in_the_mode_asked_for() -> None:
    flags = _flags(_components()["node-1", "proxy"])
    assert flags["--proxy-mode"] == "nftables"
    assert flags["--hostname-override"] == "node-1"


def test_the_cloud_gets_the_edges_network_and_the_api_server_its_socket() -> None:
    found = _components()
    assert found["cloud", "cloud"].inherits == "edge network"
    assert _flags(found["cloud", "cloud"])["--forwarder-netns"] == "/proc/self/fd/3"
    assert found["control-plane", "apiserver"].inherits == "api socket"
    assert "--listen-fd 3" in " ".join(found["control-plane", "apiserver"].argv)


def test_the_dns_server_gets_two_sockets_of_each_address_and_every_agent_sends_pods_to_it() -> None:
    found = _components(ip_family="dual")
    dns = found["control-plane", "dns"]
    assert dns.inherits == "dns sockets"
    assert "--listen-fd 3 --listen-fd 4 --listen-fd 5 --listen-fd 6" in " ".join(dns.argv)
    assert "--service-cluster-ip 10.0.0.10 --service-cluster-ip fd00:10::a" in " ".join(dns.argv)
    agent = " ".join(found["node-1", "node-agent"].argv)
    assert "--cluster-dns 10.0.0.10 --cluster-dns fd00:10::a" in agent


def test_in_a_dual_stack_cluster_everyone_is_told_both_families_with_ipv4_first() -> None:
    found = _components(ip_family="dual")
    flags = _flags(found["node-2", "node-agent"])
    assert flags["--node-ip"] == "10.240.0.12,fd00:10:240::12"
    assert flags["--external-ip"] == "192.0.2.12,2001:db8:192::12"
    assert flags["--pod-cidr"] == "10.244.2.0/24,fd00:10:244:2::/64"
    assert flags["--cluster-cidr"] == "10.244.0.0/16,fd00:10:244::/48"
    apiserver = found["control-plane", "apiserver"]
    assert _flags(apiserver)["--advertise-address"] == "10.240.0.2"
    assert _flags(apiserver)["--service-cluster-ip-range"] == "10.0.0.0/16,fd00:10::/112"
    cloud = " ".join(found["cloud", "cloud"].argv)
    assert "--vip-pool 203.0.113.0/24 --vip-pool 2001:db8:113::/64" in cloud
    assert "--proxy-address 10.240.0.3 --proxy-address fd00:10:240::3" in cloud


def test_in_an_ipv6_cluster_nobody_is_told_of_ipv4() -> None:
    for component in _components(ip_family="ipv6").values():
        argv = " ".join(component.argv)
        assert not any(each in argv for each in ("10.", "192.0.2.", "203.0.113.", "127.0.0.1", "0.0.0.0"))
