"""The document's four pictures, drawn from predictions, and the other forms."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from tests.unit.paths.objects import (
    CLUSTER,
    FLANNEL,
    LOCAL,
    Obj,
    endpoints,
    kube_proxy,
    node,
    pod,
    report,
    service,
    world,
)
from wellhead.paths.codes import Code
from wellhead.paths.rendering.drawing import draw
from wellhead.paths.rendering.text import markdown, picture, text
from wellhead.paths.way import Disposition, Report, Step, What

TWO_NODES = [node("node-1", 1), node("node-2", 2)]
ENDPOINT = [endpoints(("10.50.1.5", "node-1")), pod("endpoint", "10.50.1.5", "node-1")]


def cluster_ip() -> Report:
    client = pod("busybox", "10.50.2.8", "node-2")
    return report(
        world(TWO_NODES, FLANNEL, kube_proxy(), service(), ENDPOINT, client), "svc/api", "pod/busybox"
    )


def node_port(policy: dict[str, str], target: str = "svc/api") -> Report:
    exposed = service(type="NodePort", **policy)
    return report(world(TWO_NODES, FLANNEL, kube_proxy(), exposed, ENDPOINT), target, "outside")


def load_balancer() -> Report:
    nodes: list[Obj] = [node("node-1", 1, provider="gce"), node("node-2", 2, provider="gce")]
    vip = [{"ip": "198.18.5.5", "ipMode": "VIP"}]
    exposed = service(type="LoadBalancer", ingress=vip, healthCheckNodePort=32122, **LOCAL)
    return report(world(nodes, kube_proxy(), exposed, ENDPOINT), "svc/api", "outside")


def test_a_pod_and_a_cluster_ip() -> None:
    assert (
        draw(cluster_ip())
        == """\
        pod/busybox 10.50.2.8
                 | ^
                 v |
  node-1 <--- node-2
    | ^
    | |
    v |
 endpoint"""
    )


def test_a_node_port_under_cluster() -> None:
    assert (
        draw(node_port(CLUSTER, "10.9.0.2:31000"))
        == """\
           client
               \\ ^
                \\ \\
                 v \\
  node-1 <--- node-2
    | ^  SNAT
    | |  --->
    v |
 endpoint"""
    )


def test_a_node_port_under_local() -> None:
    assert (
        draw(node_port(LOCAL))
        == """\
        client
        ^ / \\
       / /   \\
      / v     X
  node-1      node-2
    ^ |
    | |
    | v
 endpoint"""
    )


def test_a_load_balancer_that_checks_health() -> None:
    assert (
        draw(load_balancer())
        == """\
                    client
                       |
                    lb VIP
                     / ^
                    v /
health check ---> node-1   node-2 <--- health check
         200 <---   ^ |       ---> 503
                    | v
                 endpoint"""
    )


@pytest.mark.parametrize(("last", "drawn"), [("edge", "edge"), ("outside", "node")])
def test_what_was_seen_last_somewhere_ends_there(last: str, drawn: str) -> None:
    found = load_balancer()
    way = found.ways[0]
    because = f"It was last seen at {last}."
    seen = Step(who=last, what=What.DROP, from_=None, to=None, code=Code.LAST_SEEN, because=because)
    lost = msgspec.structs.replace(
        way.outcomes[0], disposition=Disposition.UNREACHABLE, enters="", steps=(seen,)
    )
    traced = msgspec.structs.replace(found, ways=(msgspec.structs.replace(way, outcomes=(lost,)),))
    assert draw(traced).splitlines()[-1].split() == [drawn, "X"]


def test_the_first_three_lines_are_the_answer() -> None:
    said, because, do = text(node_port(CLUSTER, "10.9.0.2:31000")).split("\n")[:3]
    assert said == "outside → 10.9.0.2:31000 (a node port): the server sees 10.50.2.0, an address of node-2"
    assert because.endswith("(spec.externalTrafficPolicy of Service team/api)")
    assert do.startswith("do:  kubectl -n team patch svc api")
    assert "price: 1 of 2 nodes would answer nobody" in do


def test_pictures_say_what_was_rewritten() -> None:
    found = node_port(CLUSTER, "10.9.0.2:31000")
    drawn = picture(found, "mermaid")
    assert drawn.startswith("sequenceDiagram\n")
    assert "SNAT to 10.50.2.0" in drawn
    assert "10.50.2.0 → 10.50.1.5:8080" in drawn
    svg = ElementTree.fromstring(picture(found, "svg"))
    assert any("SNAT to 10.50.2.0" in (each.text or "") for each in svg.iter())
    assert "| outside | NodePort |" in markdown(found)
