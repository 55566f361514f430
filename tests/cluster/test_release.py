"""Deleting a Service frees all that it had: addresses, ports, rules on every node, listeners, the VIP."""

from __future__ import annotations

from functools import partial

from tests.cluster.lab import NODES, Lab, eventually


def traces(lab: Lab, namespace: str, vip: str, check_port: int) -> list[str]:
    """What on any node or at the edge still knows the Service."""
    find = f"iptables-save | grep '{namespace}/all'; ss -Hltn 'sport = :{check_port}'"
    found = [
        f"{node}: {line}"
        for node in NODES
        for line in lab.on(node, "sh", "-c", find, check=False).splitlines()
    ]
    edge = lab.on("edge", "nft", "list", "map", "ip", "wellhead-forwarder", "frontends")
    return found + [f"edge: {line}" for line in edge.splitlines() if vip in line]


def test_a_deleted_service_leaves_nothing_and_all_of_it_can_be_had_again(lab: Lab, namespace: str) -> None:
    lab.run_pod("server", "node-1", namespace)
    wish = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    lab.expose("all", "server", namespace, **wish)
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    lab.kubectl("wait", f"--for={address}", "service/all", "-n", namespace, "--timeout=60s")
    service = lab.get("service", "all", namespace)
    spec, vip = service["spec"], service["status"]["loadBalancer"]["ingress"][0]["ip"]
    eventually(lambda: lab.curl("client", vip) is not None, True)
    left = partial(traces, lab, namespace, vip, spec["healthCheckNodePort"])
    eventually(lambda: sorted({line.split(":")[0] for line in left()}), sorted({*NODES, "edge"}))

    lab.kubectl("delete", "service", "all", "-n", namespace)
    eventually(left, [])
    assert lab.curl("client", vip, seconds=1) is None

    again = wish | {
        "clusterIP": spec["clusterIP"],
        "healthCheckNodePort": spec["healthCheckNodePort"],
        "loadBalancerIP": vip,
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": spec["ports"][0]["nodePort"]}],
    }
    lab.expose("again", "server", namespace, **again)
    lab.kubectl("wait", f"--for={address}={vip}", "service/again", "-n", namespace, "--timeout=60s")
    lab.kubectl("delete", "service", "again", "-n", namespace)
