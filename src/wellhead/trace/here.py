"""A cluster of this machine under observation."""

from __future__ import annotations

from wellhead.client.connection import load
from wellhead.client.kubeconfig import KubeconfigError
from wellhead.lab import kubeconfigs, machines, topology
from wellhead.lab.cluster import Cluster, LabError
from wellhead.trace.api import TUNNELS, read
from wellhead.trace.names import Named, Names, Owner, of_objects
from wellhead.trace.observer import inside
from wellhead.trace.places import Place, of_machine
from wellhead.trace.session import Session
from wellhead.trace.token import Tokens
from wellhead.trace.watcher import Here, Watching, own_addresses

_OWNERS = {topology.CLIENT: Owner.CLIENT, topology.CLOUD: Owner.BALANCER, topology.EDGE: Owner.OTHER}


def watch_cluster(cluster: Cluster, *, requests: int = 1, payloads: bool = False) -> Session:
    """Watch every machine and pod of a cluster that runs here, with room for so many requests.

    `payloads` follows them through terminating load balancers. Close the session when done.

    Raises:
        LabError: there is no such cluster, or it has no kubeconfig.
        CannotWatch: some place can't be watched, or its API server doesn't answer. Nothing is left behind.
    """
    found = machines.running(cluster.name)
    try:
        places = [place for machine in found.values() for place in of_machine(machine.name, machine.pid)]
    finally:
        for machine in found.values():
            machine.close()
    try:
        objects = read(load(str(cluster.kubeconfig(kubeconfigs.HOST_ADMIN))))
    except KubeconfigError as error:
        raise LabError(str(error)) from None
    names = of_objects(objects.pods, objects.nodes, objects.services, {})
    _add_machines(names, places)
    balancers = [str(ip) for ip, named in names.by_address.items() if named.owner is Owner.BALANCER]
    watching = Watching(
        tokens=Tokens(requests), tunnel_ports=TUNNELS, opened_by=tuple(balancers) if payloads else ()
    )
    return Session([Here(places, watching)], watching, objects, names)


def _add_machines(names: Names, places: list[Place]) -> None:
    """Addresses that no object names: the client's, gateways, the load balancers'."""
    for place in places:
        if not place.pod:
            owner = _OWNERS.get(place.name, Owner.NODE)
            names.add(Named(owner, place.name, place.node), inside(place, own_addresses))
