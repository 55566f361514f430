"""The page in a browser, beside a cluster: the document's situations, sending, following, levers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.lab import ADDRESSES, CLIENT, EXTERNAL_IP, eventually, kill
from tests.page.browser import Browser, of
from tests.page.shop import Shop
from tests.patience import until

pytestmark = pytest.mark.cluster


_ARRIVED = """
const {value, max} = document.querySelector('.player input');
return max > 1 && Number(value) >= max;
"""


def _tags(picture: dict[str, Any], card: str) -> set[str]:
    return {"SNAT", "DNAT"} & set(picture["cards"][card])


def _leads(picture: dict[str, Any], start: str, end: str) -> str:
    """The kind of the way that is drawn between two cards."""
    [found] = [kind for first, last, kind in picture["ways"] if (first, last) == (start, end)]
    return str(found)


def test_clusterip_from_a_pod(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/clusterip", ns="default", **{"from": "pod/default/busybox"}))
    picture = chromium.seeing(shop.pod_ip("busybox"))
    assert _tags(picture, "node/node-2") == {"DNAT"}
    assert _leads(picture, "node/node-2", "node/node-1") == "way owner-client"
    assert _leads(picture, "node/node-1", "pod/default/echo") == "way owner-client"
    assert {"sees", shop.pod_ip("busybox")} <= set(picture["cards"]["pod/default/echo"])


def test_node_port_under_cluster(chromium: Browser, shop: Shop) -> None:
    """The document's second drawing: client → node 2, SNAT → node 1 → endpoint."""
    chromium.open(of(shop.link, to=f"{EXTERNAL_IP['node-2']}:{shop.node_port('nodeport')}"))
    picture = until(
        chromium.picture, lambda found: found["seen"] and set(found["seen"]) <= ADDRESSES["node-2"]
    )
    assert _tags(picture, "node/node-2") == {"SNAT", "DNAT"}
    assert _tags(picture, "node/node-1") == set()
    assert _leads(picture, "address", "node/node-2") == "way owner-client"
    assert _leads(picture, "node/node-2", "node/node-1") == "way owner-node"
    assert _leads(picture, "node/node-1", "pod/default/echo") == "way owner-node"
    assert "spec.externalTrafficPolicy = Cluster" in chromium.text("#panel")


def test_node_port_under_local(chromium: Browser, shop: Shop) -> None:
    """The third: node 1 keeps the source, node 2 drops; both in one picture."""
    chromium.open(of(shop.link, to="svc/nodeport-local", ns="default"))
    picture = chromium.seeing(CLIENT, "dropped")
    for node in ("node-2", "node-3"):
        assert {"✕", "dropped"} <= set(picture["cards"][f"node/{node}"])
        assert "end-dropped" in _leads(picture, "address", f"node/{node}")
    assert _tags(picture, "node/node-1") == {"DNAT"}
    assert _leads(picture, "node/node-1", "pod/default/echo") == "way owner-client"
    assert {"sees", CLIENT} <= set(picture["cards"]["pod/default/echo"])


def test_load_balancer_under_local(chromium: Browser, shop: Shop) -> None:
    """The fourth: nodes without endpoints fail their check, and the balancer leaves them out."""
    chromium.open(of(shop.link, to="svc/loadbalancer", ns="default"))
    picture = until(
        lambda: chromium.seeing(CLIENT),
        lambda found: "200" in found["cards"]["node/node-1"] and "503" in found["cards"]["node/node-2"],
    )
    assert _leads(picture, "address", "node/node-1") == "way owner-client"
    assert {"node/node-2", "node/node-3"}.isdisjoint(picture["on"])
    assert chromium.errors() == []


def test_a_request_runs_along_the_way_and_can_be_taken_away(chromium: Browser, shop: Shop) -> None:
    port = shop.node_port("nodeport")
    chromium.open(of(shop.link, to=f"{EXTERNAL_IP['node-2']}:{port}"))
    until(lambda: chromium.picture()["ways"])
    chromium.click(".send")
    chromium.until_text(".outcome", "As predicted")
    places = chromium.ask(
        "return [...document.querySelectorAll('.beside th[scope=row]')].map((each) => each.textContent)"
    )
    assert [each for each in places if each != "edge"] == ["client", "node-2", "node-1", "echo"]
    packet = "return document.querySelector('.packet')?.getAttribute('transform')"
    first = until(lambda: chromium.ask(packet))
    until(lambda: chromium.ask(packet), lambda now: now != first)  # it runs
    until(lambda: chromium.ask(_ARRIVED))
    assert "reply" in chromium.ask(
        "return document.querySelector('.packet').getAttribute('class')"
    )  # and came back

    for what in ("JSON", "pcapng", "Table"):
        chromium.click(".take button", what)
    files = until(
        lambda: {each.suffix: each for each in chromium.downloads.iterdir()},
        lambda found: set(found) == {".json", ".pcapng", ".txt"},
    )
    assert json.loads(files[".json"].read_text())["trace"]["kind"] == "Trace"
    assert files[".pcapng"].read_bytes().startswith(b"\x0a\x0d\x0d\x0a")
    assert CLIENT in files[".txt"].read_text()

    # Out of the history, and by its link, it is there again.
    chromium.click("#tab-history")
    chromium.until_text(".history", str(port))
    link = chromium.ask("return location.href")
    chromium.open(link)
    chromium.click("#tab-proof")
    chromium.until_text(".outcome", "As predicted")
    assert chromium.errors() == []


def test_what_moves_keeps_still_for_who_prefers_that(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/loadbalancer", ns="default"), reduced_motion="reduce")
    chromium.seeing(CLIENT)
    chromium.click(".send")
    chromium.until_text(".outcome", "As predicted")
    until(lambda: chromium.ask(_ARRIVED))


def test_an_endpoint_that_comes_and_goes_is_followed(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport-local", ns="default"))
    chromium.seeing(CLIENT, "dropped")
    pod = shop.lab.get("pod", "echo")
    labels = pod["metadata"]["labels"]
    try:
        shop.lab.kubectl("label", "pod", "echo", "app=other", "--overwrite")
        picture = until(chromium.picture, lambda found: "pod/default/echo" not in found["cards"])
        until(chromium.picture, lambda found: "refused" in found["seen"] or "dropped" in found["seen"])
        assert picture["cards"]["node/node-1"]
    finally:
        shop.lab.kubectl("label", "pod", "echo", f"app={labels['app']}", "--overwrite")
    chromium.seeing(CLIENT, "dropped")
    assert "pod/default/echo" in chromium.picture()["cards"]


def test_a_policy_that_comes_is_followed_though_it_is_not_in_the_picture(
    chromium: Browser, shop: Shop
) -> None:
    chromium.open(of(shop.link, to="svc/clusterip", ns="default", **{"from": "pod/default/busybox"}))
    chromium.seeing(shop.pod_ip("busybox"))
    spec = {"podSelector": {"matchLabels": {"app": "echo"}}, "policyTypes": ["Ingress"]}
    metadata = {"name": "nobody", "namespace": "default"}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": spec,
    }
    shop.lab.apply(policy)
    try:
        chromium.seeing("dropped")
        assert "NetworkPolicy" in chromium.text("#panel")
    finally:
        shop.lab.kubectl("delete", "networkpolicy", "nobody")
    chromium.seeing(shop.pod_ip("busybox"))


def test_another_address_stands_beside(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport-local", ns="default"))
    chromium.seeing(CLIENT, "dropped")
    chromium.choose("#compare", "other")
    until(lambda: chromium.picture(1)["ways"])
    chromium.ask("document.querySelectorAll('.second .combobox input')[1].focus()")
    chromium.press("ARROW_DOWN", "svc default/loadbalancer")
    chromium.until_text("[role=option][aria-selected=true]", "svc default/loadbalancer")
    chromium.press("ENTER")
    chromium.seeing(CLIENT, side=1)
    chromium.seeing(CLIENT, "dropped", side=0)


def test_a_lever_shows_its_command_and_does_it(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport", ns="default", tab="levers"))
    until(lambda: chromium.picture()["ways"])
    lever = "#lever-external-traffic-policy"
    chromium.until_text(f"{lever} .command", r"kubectl .*nodeport.*externalTrafficPolicy.*Local")
    try:
        chromium.click(f"{lever} .do")
        chromium.seeing(CLIENT, "dropped")  # the picture follows
        assert shop.service("nodeport")["spec"]["externalTrafficPolicy"] == "Local"
    finally:
        patch = '{"spec":{"externalTrafficPolicy":"Cluster"}}'
        shop.lab.kubectl("patch", "service", "nodeport", "-p", patch)
    until(chromium.picture, lambda found: CLIENT not in found["seen"])


def test_a_cell_of_the_matrix_opens_its_way(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport", ns="default", tab="matrix"))
    chromium.click(".matrix button[aria-label*='client outside'][aria-label$='client']")
    chromium.seeing(CLIENT)


def test_the_lesson_ticks_what_the_cluster_shows(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport", ns="default", tab="lesson"))
    chromium.until_text(".lesson .ticked .title", r"\S")
    assert "kubectl expose" in chromium.text(".lesson .command")


def test_a_page_that_stays_open_does_not_grow(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport", ns="default"))
    until(lambda: chromium.picture()["ways"])

    guests = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "nodeport-guests",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "nodeport"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }

    def churn(rounds: int) -> None:
        """Endpoints that come and go; the page has seen the last change."""
        for each in range(rounds):
            address = f"10.244.3.{100 + each % 7}"
            guest = {"addresses": [address], "nodeName": "node-3", "conditions": {"ready": True}}
            shop.lab.apply({**guests, "endpoints": [guest]})
        shop.lab.kubectl("delete", "endpointslice", "nodeport-guests")
        until(
            chromium.picture,
            lambda found: not any("10.244.3.1" in str(each) for each in found["cards"].values()),
        )

    churn(15)
    before = chromium.collected()
    churn(60)
    elements, size = until(chromium.collected, lambda now: now[0] <= before[0] * 1.1)
    assert size < before[1] * 1.3 + 1_000_000, (before, elements, size)


def test_an_api_server_that_goes_and_comes_back(chromium: Browser, shop: Shop) -> None:
    chromium.open(of(shop.link, to="svc/nodeport", ns="default"))
    until(lambda: chromium.picture()["ways"])
    chromium.until_text(".state", r"^● cluster")
    before = chromium.picture()
    kill(shop.lab, "control-plane", "apiserver")
    eventually(lambda: shop.lab.kubectl("get", "--raw", "/readyz", check=False).strip(), "ok")
    shop.lab.kubectl("patch", "service", "nodeport", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    try:
        chromium.seeing(CLIENT, "dropped")
        chromium.until_text(".state", r"^● cluster")
    finally:
        shop.lab.kubectl("patch", "service", "nodeport", "-p", '{"spec":{"externalTrafficPolicy":"Cluster"}}')
    until(chromium.picture, lambda found: found["seen"] == before["seen"])
