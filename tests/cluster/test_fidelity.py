"""What `wellhead explain` predicts of random Services is what the packets do.

A few dozen ways here; `make test-fidelity` goes a thousand in each proxy mode. What differs is asked again
for a while, since nodes and balancers learn of new Services at their own pace.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.cluster.lab import NODES, Lab, Obj, eventually
from tests.cluster.random_services import Backend, services
from tests.patience import PATIENCE
from wellhead.ip import Family
from wellhead.lab.cluster import Cluster
from wellhead.paths.way import Way
from wellhead.snapshot.sources import world_of
from wellhead.trace.compare import differences
from wellhead.trace.here import watch_cluster
from wellhead.trace.predict import predict
from wellhead.trace.target import Frontend, Unclear, Wanted

WAYS = int(os.environ.get("WELLHEAD_FIDELITY_WAYS", "40"))
WAYS_A_STATE = 40
LEARNING_SECONDS = 3 * PATIENCE
NO_ANSWER_SECONDS = 1.0
CLIENTS = ("client", *(f"node/{node}" for node in NODES), *(f"pod/{node}" for node in NODES), "pod/server-1")


@pytest.fixture(scope="module")
def lab(lab_of_each_mode: Lab) -> Lab:
    """In both proxy modes."""
    return lab_of_each_mode


@pytest.fixture(scope="module")
def backends(lab: Lab, namespace: str) -> list[Backend]:
    """Servers on two nodes, one of them on its node's own network, and a client pod on each node."""
    places = {"server-1": "node-1", "server-2": "node-2", "server-3": "node-2"}
    pods = {name: lab.run_pod(name, node, namespace) for name, node in places.items()}
    pods["server-4"] = lab.run_pod("server-4", "node-3", namespace, hostNetwork=True)
    for node in NODES:
        lab.run_pod(node, node, namespace, image="busybox")
    return [
        Backend(
            name,
            pod["spec"]["nodeName"],
            {"IPv6" if ":" in each["ip"] else "IPv4": each["ip"] for each in pod["status"]["podIPs"]},
        )
        for name, pod in pods.items()
    ]


def ways(objects: list[Obj], random: Random) -> Iterator[tuple[str, Wanted]]:
    """(client, what it dials), at random, of what there is."""
    names = [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Service"]
    choices = list(itertools.product(CLIENTS, names, Frontend, Family, NODES))
    for client, name, frontend, family, node in random.sample(choices, len(choices)):
        if client == "client" and frontend is Frontend.CLUSTER_IP:
            continue  # nobody leads it to a node
        via = node if frontend is Frontend.NODE_PORT else ""
        yield client, Wanted(f"svc/{name}", "", client == "client", family, frontend, via)


def about(objects: list[Obj], wrong: list[str]) -> list[Obj]:
    """The Services that something is wrong with, and their slices."""
    return [
        obj for obj in objects if any(f"/{obj['metadata']['name'].split('-')[0]}:" in each for each in wrong)
    ]


def in_namespace(wanted: Wanted, namespace: str) -> Wanted:
    return Wanted(**{**vars(wanted), "namespace": namespace})


@pytest.mark.timeout(1200)
def test_a_prediction_is_what_the_packets_do(lab: Lab, namespace: str, backends: list[Backend]) -> None:
    tried: list[str] = []

    @settings(
        max_examples=1 + WAYS // WAYS_A_STATE,  # the first is always the simplest,
        deadline=None,
        database=None,
        derandomize="WELLHEAD_FIDELITY_WAYS" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(services(backends), st.randoms(use_true_random=False))
    def holds(objects: list[Obj], random: Random) -> None:
        for obj in objects:
            obj["metadata"]["namespace"] = namespace
        lab.apply(*objects)
        try:
            await_balancers(lab, namespace, objects)
            wrong = gone(lab, namespace, list(ways(objects, random)), tried)
            assert not wrong, "\n".join([*wrong, json.dumps(about(objects, wrong))])
        finally:
            lab.kubectl("delete", "services,endpointslices", "--all", "-n", namespace, "--wait=true")

    holds()
    assert tried
    print(f"{len(tried)} ways in {lab.proxy_mode} mode, none otherwise than predicted")


def await_balancers(lab: Lab, namespace: str, objects: list[Obj]) -> None:
    """Until each has an address of each of its families."""
    wanted = {
        obj["metadata"]["name"]: len(obj["spec"]["ipFamilies"])
        for obj in objects
        if obj["kind"] == "Service" and obj["spec"]["type"] == "LoadBalancer"
    }

    def given() -> dict[str, int]:
        listed: list[Any] = lab.get("services", namespace=namespace)["items"]
        return {
            each["metadata"]["name"]: len(each["status"]["loadBalancer"].get("ingress") or ())
            for each in listed
            if each["metadata"]["name"] in wanted
        }

    eventually(given, wanted)


def gone(lab: Lab, namespace: str, asked: list[tuple[str, Wanted]], tried: list[str]) -> list[str]:
    """Go all ways; what was otherwise than predicted, and stayed so."""
    world = world_of((), lab.kubeconfig, namespace)
    deadline = time.monotonic() + LEARNING_SECONDS
    wrong: list[str] = []
    with watch_cluster(Cluster(lab.name), requests=4096) as session:

        def go(client: str, wanted: Wanted) -> tuple[Way, tuple[str, ...]]:
            seen = session.send(client, wanted, seconds=NO_ANSWER_SECONDS).way
            foreseen = predict(world, seen)
            return seen, differences(foreseen, seen) if foreseen is not None else ("nothing was predicted",)

        went = 0
        for client, wanted in asked:
            if went == WAYS_A_STATE:
                break
            try:
                seen, found = go(client, in_namespace(wanted, namespace))
            except Unclear:
                continue  # this Service has no such address
            went += 1
            while found and time.monotonic() < deadline and session.left > WAYS_A_STATE:
                time.sleep(0.25)  # nothing tells when a node has learned
                seen, found = go(client, in_namespace(wanted, namespace))
            tried.append(f"{client} {seen.address}")
            what = f"{client} → {seen.frontend} {seen.address}:{seen.port} of {seen.service}"
            wrong += [f"{what}: {each}" for each in found]
    return wrong
