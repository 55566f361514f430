"""What `wellhead status` says of load balancers."""

from __future__ import annotations

from typing import Any

from wellhead.lab.balancers import balancer

SERVICE: dict[str, Any] = {
    "metadata": {"namespace": "default", "name": "web"},
    "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/lb", "ports": [{"port": 80}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"ip": "2001:db8:113::7"}]}},
}


def test_a_service_that_the_controller_knows_shows_class_nodes_and_how_clients_are_told() -> None:
    report = {
        "loadBalancerClass": "wellhead.dev/proxy",
        "clientIp": {"80/TCP": "none", "81/TCP": "none"},
        "nodes": [{"name": "node-1", "state": "in"}, {"name": "node-2", "state": "out"}],
    }
    found = balancer(SERVICE, {("default", "web"): report})
    assert found.addresses == ("203.0.113.7", "2001:db8:113::7")
    assert (found.load_balancer_class, found.client_ip) == ("wellhead.dev/proxy", ("none",))
    assert found.nodes == {"node-1": "in", "node-2": "out"}
    ways = {"80/TCP": "proxy-v1", "81/TCP": "none"}
    mixed = balancer(SERVICE, {("default", "web"): report | {"clientIp": ways}})
    assert mixed.client_ip == ("80/TCP=proxy-v1", "81/TCP=none")


def test_a_service_of_somebody_elses_shows_what_the_api_knows() -> None:
    found = balancer(SERVICE, {})
    assert (found.load_balancer_class, found.nodes, found.reason) == ("example.com/lb", {}, "")
    assert found.ports == ("80/TCP",)
