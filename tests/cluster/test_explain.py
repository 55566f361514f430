"""What `wellhead explain` predicts is what the echoserver then reports, for random Services and clients."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cluster.asker import Answer, Askers
from tests.cluster.family import IPV4, IPV6, url
from tests.cluster.lab import Lab, Obj, eventually
from tests.patience import PATIENCE
from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.paths.way import Disposition, Outcome, SeenAs, Way
from wellhead.paths.world import World
from wellhead.snapshot.cluster import reading_of

STATES = (2, 3, 7)  # chosen for what they hold: both policies, preserving, the host network
SERVICES = 2
TERMINATING_PROXY = {"10.240.0.3", "fd00:10:240::3"}
CLIENT_NODES = ("node-1", "node-3")
_REFUSED, _TIMED_OUT = 7, 28


@pytest.fixture(scope="module")
def ask(lab: Lab) -> Iterator[Askers]:
    with Askers(lab) as askers:
        yield askers


@pytest.fixture(scope="module")
def pods(lab: Lab, namespace: str) -> dict[str, Obj]:
    """Servers on two nodes and on the third one's own network; clients beside them and elsewhere."""
    return {
        "one": lab.run_pod("one", "node-1", namespace),
        "two": lab.run_pod("two", "node-2", namespace),
        "host": lab.run_pod("host", "node-3", namespace, hostNetwork=True),
        **{
            f"client-{node}": lab.run_pod(f"client-{node}", node, namespace, image="busybox")
            for node in CLIENT_NODES
        },
    }


def random_service(chance: random.Random) -> dict[str, Any]:
    """A Service's spec, of any type and policy."""
    spec: dict[str, Any] = {
        "type": chance.choice(["ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer"]),
        "ipFamilyPolicy": chance.choice(["SingleStack", "RequireDualStack"]),
        "sessionAffinity": chance.choice(["None", "None", "ClientIP"]),
        "internalTrafficPolicy": chance.choice(["Cluster", "Cluster", "Local"]),
        "selector": chance.choice(
            [{"app": "one"}, {"app": "two"}, {"app": "host"}, {"app": "nobody"}, {"served": "yes"}]
        ),
    }
    if spec["type"] != "ClusterIP":
        spec["externalTrafficPolicy"] = chance.choice(["Cluster", "Local"])
        if spec["externalTrafficPolicy"] == "Cluster" and chance.random() < 0.3:
            spec["annotations"] = {"wellhead.dev/preserve-client-ip": "true"}
    if spec["type"] == "LoadBalancer":
        spec |= chance.choice([{}, {}, {"loadBalancerClass": "wellhead.dev/proxy"}])
        spec |= chance.choice([{}, {}, {"loadBalancerSourceRanges": ["198.51.100.0/24", "10.244.0.0/16"]}])
    return spec


def agrees(answer: Answer, predicted: Outcome) -> bool:
    """Whether an answer is what an outcome says."""
    if predicted.disposition is Disposition.DELIVERED:
        if predicted.seen_as is SeenAs.BALANCER and predicted.source is None:
            return answer.client in TERMINATING_PROXY
        return answer.client is not None and answer.client == predicted.source
    if predicted.disposition is Disposition.REFUSED:
        return answer.client is None and answer.status != _TIMED_OUT
    return answer.client is None and answer.status != _REFUSED


def ways(world: World, name: str, namespace: str) -> list[Way]:
    """Those that can be tried: from outside by the addresses that the edge knows, from inside by others."""
    clients = [
        "outside",
        *(f"pod/client-{each}" for each in CLIENT_NODES),
        *(f"node/{each}" for each in CLIENT_NODES),
    ]
    found = explain(world, Question(f"svc/{name}", namespace, tuple(clients))).ways
    outside = {*IPV4.external_ip.values(), *IPV6.external_ip.values()}
    inside = {*IPV4.internal_ip.values(), *IPV6.internal_ip.values()}
    return [
        each
        for each in found
        if each.frontend in ("ClusterIP", "LoadBalancerIP")
        or each.address in (outside if each.client == "outside" else inside)
    ]


def answer(ask: Askers, pods: dict[str, Obj], way: Way) -> Answer:
    server = url(way.address, way.port)
    kind, _, name = way.client.partition("/")
    if kind == "pod":
        return ask.within(pods[name], server, seconds=1)
    # A node's own IPv6 connection hears of a refusal at its second SYN only, a second later.
    return ask.on("client" if kind == "outside" else name, server, seconds=2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("state", STATES)
def test_predictions_are_what_servers_see(
    lab: Lab, ask: Askers, pods: dict[str, Obj], namespace: str, state: int
) -> None:
    chance = random.Random(f"explain {state}")  # the same Services in every run
    lab.kubectl("label", "pod", "one", "two", "served=yes", "-n", namespace, "--overwrite")
    names = [f"s{state}-{number}" for number in range(SERVICES)]
    for name in names:
        spec = random_service(chance)
        lab.expose(name, "unused", namespace, **spec)
        if spec["type"] == "LoadBalancer":
            lab.vips(name, namespace, 2 if spec["ipFamilyPolicy"] == "RequireDualStack" else 1)

    def world() -> World:
        reading = reading_of(lab.kubeconfig, namespace)
        return World(reading.entries(), reading.unread)

    wrong: list[str] = []
    for name in names:
        for way in ways(world(), name, namespace):
            family = IPV6 if way.family == "IPv6" else IPV4
            predicted = [_with_client(each, family.client) for each in way.outcomes]
            question = partial(_agree, ask, pods, way, predicted)
            try:  # nodes learn of each other's return paths some seconds after the first Service that asks
                eventually(question, True)
            except AssertionError:
                said = [(each.disposition.value, each.source, each.source_note) for each in predicted]
                dialled = f"{name} {way.client} → {way.address}:{way.port}"
                wrong.append(f"{dialled}: {said}, but {answer(ask, pods, way)}")
    lab.kubectl("delete", "service", *names, "-n", namespace)
    assert not wrong, "\n".join(wrong)


def _agree(ask: Askers, pods: dict[str, Obj], way: Way, predicted: list[Outcome]) -> bool:
    found = answer(ask, pods, way)
    return any(agrees(found, each) for each in predicted)


def _with_client(outcome: Outcome, client: str) -> Outcome:
    """“Outside” is this client here."""
    if (
        outcome.source is None
        and outcome.seen_as is SeenAs.CLIENT
        and outcome.disposition is Disposition.DELIVERED
    ):
        return msgspec.structs.replace(outcome, source=client)
    return outcome


def test_explain_reads_this_cluster_by_the_command(lab: Lab, pods: dict[str, Obj], namespace: str) -> None:
    lab.expose("told", "one", namespace, type="NodePort", externalTrafficPolicy="Local")
    command = [str(Path(sys.executable).parent / "wellhead"), "explain", "svc/told", "-n", namespace]
    done = subprocess.run(
        [*command, "--kubeconfig", lab.kubeconfig],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=True,
    )
    first, second, _ = done.stdout.splitlines()[:3]
    assert "the client" in first
    assert "externalTrafficPolicy is Local" in second
