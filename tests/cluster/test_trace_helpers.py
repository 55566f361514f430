"""`wellhead trace` by helpers, as on other people's clusters: each sees its own machine alone."""

from __future__ import annotations

import pytest

from tests.cluster.lab import BIN, NODES, Lab
from wellhead.client.connection import load
from wellhead.trace.api import TUNNELS, read
from wellhead.trace.names import Named, Owner, of_objects
from wellhead.trace.session import Session
from wellhead.trace.target import Wanted
from wellhead.trace.token import Tokens
from wellhead.trace.watcher import Elsewhere, Watching


@pytest.fixture(scope="module")
def shop(lab: Lab, namespace: str) -> str:
    lab.run_pod("server", "node-1", namespace)
    lab.expose("local", "server", namespace, type="NodePort", externalTrafficPolicy="Local")
    lab.forwarded(lab.expose("web", "server", namespace, type="NodePort"))
    return namespace


def session(lab: Lab) -> Session:
    """Helpers are reached by `wellhead exec`, which stands in for `kubectl exec`."""
    objects = read(load(lab.kubeconfig))
    watching = Watching(tokens=Tokens(8), tunnel_ports=TUNNELS)
    wellhead = str(BIN / "wellhead")
    helpers = [
        Elsewhere(
            machine,
            (wellhead, "exec", "--name", lab.name, machine, "--", wellhead, "trace-node", "--node", machine),
            watching,
        )
        for machine in ("client", *NODES)
    ]
    names = of_objects(objects.pods, objects.nodes, objects.services, {})
    names.add(Named(Owner.CLIENT, "client"), helpers[0].addresses("client"))
    for helper, node in zip(helpers[1:], NODES, strict=True):
        names.add(Named(Owner.NODE, node, node), helper.addresses(node))
    return Session(helpers, watching, objects, names)


def test_hops_of_several_machines_are_one_way_and_nothing_stays(lab: Lab, shop: str) -> None:
    before = lab.on("node-2", "nft", "list", "tables")
    with session(lab) as watched:
        found = watched.send("client", Wanted("svc/web", shop, via="node-2"))
        dropped = watched.send("client", Wanted("svc/local", shop, via="node-2"))
        from_pod = watched.send("pod/server", Wanted("svc/web", shop, from_outside=False))
    places = [hop.place for hop in found.hops if hop.direction == "request"]
    assert places == ["client", "node-2", "node-1", f"pod {shop}/server"]
    assert (found.way.outcomes[0].source_owner, found.way.outcomes[0].seen_as) == ("node-2", "node")
    assert dropped.way.outcomes[0].disposition == "dropped"
    assert dropped.way.outcomes[0].steps[-1].node == "node-2"
    assert from_pod.way.outcomes[0].disposition == "delivered"
    assert lab.on("node-2", "nft", "list", "tables") == before
