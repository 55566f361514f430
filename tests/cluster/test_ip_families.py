"""Clusters of one IP family: everything goes by it."""

from __future__ import annotations

import os

import pytest

from tests.cluster.asker import Askers
from tests.cluster.conftest import running
from tests.cluster.family import IPV4, IPV6, Family, url
from tests.cluster.lab import ECHOSERVER, Lab, eventually


@pytest.mark.parametrize("ip", [IPV4, IPV6], ids=str)
def test_a_cluster_of_one_family_serves_pods_and_clients(ip: Family) -> None:
    with (
        running(Lab(f"test-{os.getpid()}-{ip}"), "--ip-family", str(ip), "--nodes", "2") as lab,
        Askers(lab) as ask,
    ):
        container = {
            "name": "main",
            "image": ECHOSERVER,
            "ports": [{"containerPort": 8080, "hostPort": 8088}],
            "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
        }
        server = lab.run_pod("server", "node-1", "default", containers=[container])
        client = lab.run_pod("client", "node-2", "default", image="busybox")
        service = lab.expose("server", "server", "default", type="LoadBalancer")
        assert service["spec"]["ipFamilies"] == [f"IPv{ip.version}"]
        assert [each["ip"] for each in server["status"]["podIPs"]] == [ip.pod_ip(server)]

        eventually(lambda: ask.within(client, url(service["spec"]["clusterIP"])).client, ip.pod_ip(client))
        node, node_port = ip.external_ip["node-1"], service["spec"]["ports"][0]["nodePort"]
        eventually(lambda: ask.on("client", url(node, node_port)).client, ip.addresses["node-1"])
        eventually(lambda: ask.on("client", url(node, 8088)).client, ip.client)
        (vip,) = lab.vips("server", "default", 1)
        eventually(lambda: ask.on("client", url(vip)).client, ip.any_node())
        assert lab.kubectl("exec", "server", "--", "hostname") == "server\n"
        assert "node-2" in lab.wellhead("exec", "client", "--", "kubectl", "get", "nodes")
