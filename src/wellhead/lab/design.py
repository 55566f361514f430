"""What the supervisor is to bring about for one specification: the whole cluster, as a value."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from wellhead.lab import edge, kubeconfigs, pki, topology
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.components import Component, components
from wellhead.lab.topology import Topology
from wellhead.linux import trees
from wellhead.linux.files import make_private


@dataclass(frozen=True)
class Design:
    """A cluster's machines, their processes, and how to make and delete files that these need."""

    topology: Topology
    components: tuple[Component, ...]
    edge_rules: str
    write_files: Callable[[], None]
    delete_files_of: Callable[[str], None]  # of a machine that is no longer wanted


def design(cluster: Cluster, spec: ClusterSpec) -> Design:
    """What `spec` asks for.

    Raises:
        ValueError: more nodes than the address plan has room for.
    """
    picture = topology.build(spec.nodes, spec.plans, spec.control_planes)
    numbers = range(1, spec.nodes + 1)

    def write_files() -> None:
        cluster.make_directories()
        identities = list(pki.control_plane_identities(picture.plans, spec.control_planes))
        for number in numbers:
            identities += pki.node_identities(number, picture.plans)
            make_private(cluster.node_directory(topology.node_name(number)))
        pki.ensure(cluster.pki, identities)
        pki.ensure_signing_key(cluster.pki)
        make_private(cluster.pki / pki.FRONT_PROXY)
        front_proxy = pki.Identity(pki.FRONT_PROXY_CLIENT, pki.FRONT_PROXY_CLIENT)
        pki.ensure(cluster.pki / pki.FRONT_PROXY, [front_proxy])
        if spec.storage == "etcd":
            make_private(cluster.pki / pki.ETCD)
            pki.ensure(cluster.pki / pki.ETCD, pki.etcd_identities(picture.plans, spec.control_planes))
            make_private(cluster.directory / "etcd")
            for name in topology.control_plane_names(spec.control_planes):
                make_private(cluster.etcd_directory(name))
        if spec.audit_policy:
            make_private(cluster.audit)
            for name in topology.control_plane_names(spec.control_planes):
                make_private(cluster.audit_directory(name))
        kubeconfigs.write_all(cluster, spec)

    def delete_files_of(machine: str) -> None:
        for stem in (machine, *(f"{machine}-{part}" for part in ("server", "policy", "proxy", "storage"))):
            for suffix in (".crt", ".key"):
                (cluster.pki / f"{stem}{suffix}").unlink(missing_ok=True)
            cluster.kubeconfig(stem).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # `down` tries again
            trees.remove(cluster.node_directory(machine))

    return Design(
        topology=picture,
        components=components(cluster, spec),
        edge_rules=edge.ruleset(spec.nodes, picture.plans, spec.control_planes),
        write_files=write_files,
        delete_files_of=delete_files_of,
    )
