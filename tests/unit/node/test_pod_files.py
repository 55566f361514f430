"""/etc/hosts and /etc/resolv.conf of a pod."""

from __future__ import annotations

import pytest

from tests.unit.node import pods
from wellhead.node.pods import spec
from wellhead.node.pods.files import Dns, beyond_limits, hosts, resolv_conf

NODE = "search example.org\nnameserver 192.0.2.53\noptions timeout:1\n"
CLUSTER = Dns(("10.0.0.10",))


def test_a_pod_knows_its_own_name_and_its_aliases() -> None:
    text = hosts(
        pods.pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]), ["10.244.1.7", "fd00::7"]
    )
    assert "10.244.1.7\tweb\nfd00::7\tweb\n" in text
    assert "1.2.3.4\ta\tb\n" in text
    assert "10.244.1.7\tweb.sub.shop.svc.cluster.local\tweb\n" in hosts(
        pods.pod(subdomain="sub"), ["10.244.1.7"]
    )


def test_a_host_name_may_be_overridden_and_has_no_domain_then() -> None:
    text = hosts(pods.pod(hostnameOverride="a.long.name", subdomain="sub"), ["10.244.1.2"])
    assert "10.244.1.2\ta.long.name\n" in text


def test_cluster_dns_comes_first_and_the_nodes_search_domains_stay() -> None:
    assert resolv_conf(pods.pod(), CLUSTER, NODE) == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local example.org\n"
        "nameserver 10.0.0.10\n"
        "options ndots:5\n"
    )


def test_without_cluster_dns_or_with_the_hosts_network_the_node_is_asked() -> None:
    assert resolv_conf(pods.pod(), Dns(), NODE) == NODE
    assert resolv_conf(pods.pod(hostNetwork=True), CLUSTER, NODE) == NODE
    assert resolv_conf(pods.pod(dnsPolicy="Default"), CLUSTER, NODE) == NODE


def test_dns_config_adds_and_replaces() -> None:
    config = {
        "nameservers": ["1.1.1.1"],
        "searches": ["x"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    assert resolv_conf(pods.pod(dnsPolicy="None", dnsConfig=config), CLUSTER, NODE) == (
        "search x\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
    )


def test_with_the_hosts_network_the_nodes_hosts_and_the_aliases_are_shown() -> None:
    aliases = [{"ip": "1.2.3.4", "hostnames": ["a"]}]
    assert hosts(
        pods.pod(hostNetwork=True, hostAliases=aliases), ["10.240.0.11"], node_has="::1\tself\n"
    ) == (
        "# Kubernetes-managed hosts file (host network).\n::1\tself\n\n"
        "# Entries added by HostAliases.\n1.2.3.4\ta\n"
    )


def test_another_cluster_domain_is_in_the_search_path_and_in_the_pods_own_name() -> None:
    dns = Dns(("10.0.0.10",), "corp.example")
    assert resolv_conf(pods.pod(), dns, "").startswith(
        "search shop.svc.corp.example svc.corp.example corp.example\n"
    )
    assert "10.244.1.7\tweb.sub.shop.svc.corp.example\tweb\n" in hosts(
        pods.pod(subdomain="sub"), ["10.244.1.7"], dns.domain
    )


def test_what_resolvers_do_not_take_is_left_out_and_said() -> None:
    config = {
        "nameservers": [f"192.0.2.{number}" for number in range(1, 4)],
        "searches": [f"d{number}.example" for number in range(31)],
    }
    pod = pods.pod(dnsConfig=config)
    lines = resolv_conf(pod, CLUSTER, "").splitlines()
    assert len(lines[0].split()) == 1 + 32
    assert [line for line in lines if line.startswith("nameserver")] == [
        "nameserver 10.0.0.10",
        "nameserver 192.0.2.1",
        "nameserver 192.0.2.2",
    ]
    nameservers, search = beyond_limits(pod, CLUSTER)
    assert nameservers.endswith("the applied nameserver line is: 10.0.0.10 192.0.2.1 192.0.2.2")
    assert search.startswith("Search Line limits were exceeded, some search paths have been omitted")
    long = pods.pod(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["a" * 250] * 1})
    assert beyond_limits(long, CLUSTER) == []
    many = [f"{number}{'a' * 240}" for number in range(9)]
    cut = pods.pod(dnsPolicy="None", dnsConfig={"searches": many})
    assert len(resolv_conf(cut, CLUSTER, "").splitlines()[0].split()) == 1 + 8


def test_the_kernels_host_name_may_be_the_whole_one_if_it_is_short_enough() -> None:
    pod = pods.pod(subdomain="sub", setHostnameAsFQDN=True)
    assert spec.kernel_hostname(pod, "cluster.local") == "web.sub.shop.svc.cluster.local"
    assert spec.kernel_hostname(pods.pod(subdomain="sub"), "cluster.local") == "web"
    assert spec.kernel_hostname(pods.pod(setHostnameAsFQDN=True), "cluster.local") == "web"
    with pytest.raises(ValueError, match="is too long"):
        spec.kernel_hostname(pods.pod(subdomain="s" * 60, setHostnameAsFQDN=True), "cluster.local")
