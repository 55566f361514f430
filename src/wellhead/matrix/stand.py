"""Putting up in a cluster what the matrix needs, and taking it away again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj, is_condition_true
from wellhead.api.resource import Resource
from wellhead.api.well_known import ENDPOINTSLICES, NAMESPACES, NODES, PODS, SERVICEACCOUNTS, SERVICES
from wellhead.client.informer import Informer
from wellhead.client.rest import Client
from wellhead.ip import Family, family_of, parse_address
from wellhead.matrix import objects
from wellhead.matrix.cells import Node, Parts, Place
from wellhead.services.endpointslice import conditions

_SECONDS = 60.0


class CannotStand(Exception):
    """What the matrix needs didn't come about; the message says what is missing."""


async def put_up(client: Client, namespace: str, families: Sequence[Family], parts: Parts) -> Place:
    """Create the namespace with all that belongs to it; returns when it can be tried.

    Raises:
        CannotStand: pods don't become ready, or load balancers get no address.
    """
    nodes = sorted((await client.list(NODES))["items"], key=lambda node: str(node["metadata"]["name"]))
    if not nodes:
        raise CannotStand("the cluster has no nodes")
    first, other = (_node(each) for each in (nodes[0], nodes[1 % len(nodes)]))
    place = Place(namespace, first, other)
    await client.create(NAMESPACES, objects.namespace(namespace))
    await _all(client, SERVICEACCOUNTS, namespace, 1, bool, "service accounts exist")
    pods, services = objects.pods(place), objects.services(place, families, parts)
    await asyncio.gather(*(client.create(SERVICES, each) for each in services))
    await asyncio.gather(*(client.create(PODS, each) for each in pods))
    await _all(client, PODS, namespace, len(pods), _is_ready, "pods are Ready")
    await _all(client, SERVICES, namespace, len(services), _has_addresses, "Services have addresses")
    # What is predicted is predicted from these.
    slices = len(services) * len(families)
    await _all(client, ENDPOINTSLICES, namespace, slices, _has_endpoint, "EndpointSlices name the server")
    return place


async def take_away(client: Client, namespace: str) -> None:
    """Delete the namespace with all that is in it."""
    try:
        await client.delete(NAMESPACES, namespace)
    except NotFound:
        return


async def _all(
    client: Client, resource: Resource, namespace: str, count: int, good: Callable[[Obj], bool], what: str
) -> None:
    """Wait until so many objects are as they should be."""
    informer = Informer(client, resource, namespace=namespace)
    changed = asyncio.Event()
    informer.on_change(lambda _old, _new: changed.set())
    following = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(_SECONDS):
            while sum(map(good, informer.values())) < count:
                await changed.wait()
                changed.clear()
    except TimeoutError:
        bad = sorted(str(each["metadata"]["name"]) for each in informer.values() if not good(each))
        how_far = f"{count - len(bad)} of {count} {what} after {_SECONDS:.0f} s"
        raise CannotStand(f"{how_far}; not: {', '.join(bad)}") from None
    finally:
        following.cancel()


def _is_ready(pod: Obj) -> bool:
    return is_condition_true(pod, "Ready")


def _has_endpoint(endpointslice: Obj) -> bool:
    return any(conditions(each).ready for each in endpointslice.get("endpoints") or ())


def _has_addresses(service: Obj) -> bool:
    if service["spec"].get("type") != "LoadBalancer":
        return bool(service["spec"].get("clusterIPs"))
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return len(given) >= len(service["spec"].get("ipFamilies") or ())


def _node(node: Obj) -> Node:
    entries = (node.get("status") or {}).get("addresses") or ()

    def of(kind: str) -> dict[Family, str]:
        found: dict[Family, str] = {}
        for entry in entries:
            address = parse_address(entry["address"]) if entry["type"] == kind else None
            if address is not None:
                found.setdefault(family_of(address), str(address))
        return found

    internal = of("InternalIP")
    return Node(node["metadata"]["name"], internal, of("ExternalIP") or internal)
