"""Services at random: made, changed in every way, deleted; reproducible by its seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.cluster.lab import Lab, Obj
from wellhead.api.errors import ApiError, Conflict
from wellhead.api.resources import SERVICES
from wellhead.client.connection import load
from wellhead.client.rest import Client

_AT_ONCE = 8
SOMEBODY_ELSES = "example.com/somebody-elses"
_CLASSES = ("wellhead.dev/forwarder", "wellhead.dev/proxy", SOMEBODY_ELSES)
_CLIENT_IP = ("none", "x-forwarded-for", "forwarded", "proxy-v2")


def random_service(dice: random.Random, namespace: str, name: str, app: str) -> Obj:
    """Any Service that the API takes, mostly; its pods are those labelled app=APP, or none."""
    kind = dice.choice(
        ("ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "LoadBalancer", "ExternalName")
    )
    metadata = {"name": name, "namespace": namespace, "annotations": {}}
    if kind == "ExternalName":
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"type": kind, "externalName": "elsewhere.example.com"},
        }
    terminates = False
    spec: dict[str, Any] = {
        "type": kind,
        "selector": {"app": dice.choice((app, app, app, "nobody"))},
        "internalTrafficPolicy": dice.choice(("Cluster", "Local")),
        "sessionAffinity": dice.choice(("None", "ClientIP")),
        "ipFamilyPolicy": dice.choice(("SingleStack", "PreferDualStack")),
    }
    if kind != "ClusterIP" or dice.random() < 0.3:
        spec["externalTrafficPolicy"] = dice.choice(("Cluster", "Local"))
        spec["externalIPs"] = dice.sample([f"198.18.0.{last}" for last in range(1, 9)], dice.randint(0, 2))
        if kind == "ClusterIP" and not spec["externalIPs"]:
            del spec["externalTrafficPolicy"]
    if kind == "LoadBalancer":
        spec["loadBalancerClass"] = dice.choice(_CLASSES)
        terminates = spec["loadBalancerClass"] == "wellhead.dev/proxy"
        if dice.random() < 0.3:
            spec["loadBalancerSourceRanges"] = ["198.51.100.0/24", f"10.{dice.randint(1, 250)}.0.0/16"]
        if terminates and dice.random() < 0.5:
            metadata["annotations"] = {"wellhead.dev/client-ip": dice.choice(_CLIENT_IP)}
        spec["allocateLoadBalancerNodePorts"] = dice.random() < 0.8
    protocols = ("TCP",) if terminates else ("TCP", "TCP", "UDP")
    spec["ports"] = [
        {"name": f"p{port}", "port": port, "targetPort": 8080, "protocol": dice.choice(protocols)}
        for port in dice.sample(range(80, 90), dice.randint(1, 3))
    ]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def churn(
    lab: Lab,
    namespace: str,
    app: str,
    *,
    services: int,
    changes: int,
    seed: int,
    halfway: Callable[[], None],
) -> Counter[str]:
    """Make so many Services, each changed so many times and then deleted, many at a time, in random order.

    Returns how often what was asked for was done, or refused by the API server. `halfway` is called (in a
    thread) when half of it is done.
    """
    done: Counter[str] = Counter()
    dice = random.Random(seed)
    lives = [(f"churn-{number}", random.Random(dice.random())) for number in range(services)]
    turns = [life for life in lives for _ in range(changes + 2)]
    dice.shuffle(turns)
    left = Counter({name: changes + 2 for name, _ in lives})
    busy = asyncio.Semaphore(_AT_ONCE)
    locks = {name: asyncio.Lock() for name, _ in lives}

    async def turn(client: Client, name: str, own: random.Random) -> None:
        async with locks[name], busy:
            left[name] -= 1
            wanted = random_service(own, namespace, name, app)
            try:
                if left[name] == changes + 1:
                    what = "create"
                    await client.create(SERVICES, wanted)
                elif left[name]:
                    what = "change"
                    await change(client, wanted)
                else:
                    what = "delete"
                    await client.delete(SERVICES, name, namespace)
                done[what] += 1
            except ApiError as error:
                done[f"{what}: {error.reason}"] += 1
                print(name, error)
            if done.total() == len(turns) // 2:
                await asyncio.to_thread(halfway)

    async with Client(load(lab.kubeconfig), "churn") as client, asyncio.TaskGroup() as group:
        for life in turns:
            group.create_task(turn(client, *life))
    return done


async def change(client: Client, wanted: Obj) -> None:
    """Replace a Service, through another type where the class of its load balancer is to change."""
    spec = wanted["spec"]
    while True:
        try:
            old = await client.get(SERVICES, wanted["metadata"]["name"], wanted["metadata"]["namespace"])
            if old["metadata"].get("finalizers") and spec.get("loadBalancerClass") == SOMEBODY_ELSES:
                # A controller that was away meanwhile could not know that the finalizer isn't the other's.
                spec = {**spec, "loadBalancerClass": _CLASSES[0]}
            if old["spec"].get("loadBalancerClass") not in (None, spec.get("loadBalancerClass")):
                plain = {"type": "NodePort", "ports": old["spec"]["ports"], "selector": {"app": "nobody"}}
                old = await client.update(SERVICES, replaced(old, wanted, plain))
            await client.update(SERVICES, replaced(old, wanted, spec))
        except Conflict:
            continue
        return


def replaced(old: Obj, wanted: Obj, spec: Obj) -> Obj:
    """What to send, as `kubectl replace` would: finalizers are not the user's to drop or to bring back."""
    kept = {key: old["metadata"].get(key) for key in ("finalizers", "resourceVersion")}
    return {**wanted, "metadata": {**wanted["metadata"], **kept}, "spec": spec}
