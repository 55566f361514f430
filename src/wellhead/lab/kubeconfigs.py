"""Kubeconfigs: an identity, and the API server's address as seen from where it will be used."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from wellhead import ports
from wellhead.ip import bracketed
from wellhead.lab import pki
from wellhead.lab.cluster import Cluster, ClusterSpec
from wellhead.lab.topology import CLIENT, node_name
from wellhead.linux.files import write_if_different

HOST_ADMIN = "admin"
CLIENT_ADMIN = "admin-client"
MACHINE_ADMIN = "admin-machine"


def write_all(cluster: Cluster, spec: ClusterSpec) -> None:
    """Write the kubeconfigs of the administrator, for each place, and of every component.

    Machines reach the API server by its primary family, the host always by 127.0.0.1.

    Raises:
        OSError: when a certificate can't be read or a kubeconfig not be written.
    """
    plan = spec.plans[0]

    def server(number: int) -> str:
        """The API server of a control plane; clients of all kinds are spread over them."""
        return (
            f"https://{bracketed(plan.control_plane_of((number - 1) % spec.control_planes + 1))}:{ports.API}"
        )

    inside = server(1)
    outside = f"https://{bracketed(plan.control_plane_external)}:{ports.API}"
    wanted = {
        HOST_ADMIN: ("admin", f"https://127.0.0.1:{spec.api_port}"),
        CLIENT_ADMIN: ("admin", outside),
        MACHINE_ADMIN: ("admin", inside),
        "image-puller": ("image-puller", f"https://127.0.0.1:{spec.api_port}"),
    }
    nodes = [node_name(number) for number in range(1, spec.nodes + 1)]
    for number, name in enumerate(nodes, start=1):
        parts = (f"{name}-{part}" for part in ("policy", "proxy", "storage"))
        wanted |= {each: (each, server(number)) for each in (name, *parts)}
    wanted |= {name: (name, inside) for name in ("cloud", "node-network")}
    for number in range(1, spec.control_planes + 1):
        beside = ("controller-manager", "scheduler", "dns")
        wanted |= {of(name, number): (name, server(number)) for name in beside}
    for name, (identity, url) in wanted.items():
        write_if_different(cluster.kubeconfig(name), render(cluster.name, cluster.pki, identity, url))


def of(component: str, number: int) -> str:
    """The kubeconfig of a control plane's component: it asks the API server beside it."""
    return component if number == 1 else f"{component}-{number}"


def for_machine(cluster: Cluster, machine: str) -> Path:
    """The administrator's kubeconfig that works on `machine`."""
    return cluster.kubeconfig(CLIENT_ADMIN if machine == CLIENT else MACHINE_ADMIN)


def render(cluster: str, certificates: Path, identity: str, server: str) -> bytes:
    """A kubeconfig that needs no other file."""

    def data(file: str) -> str:
        return base64.b64encode((certificates / file).read_bytes()).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {"server": server, "certificate-authority-data": data(f"{pki.CA}.crt")},
                }
            ],
            "users": [
                {
                    "name": f"{cluster}-{identity}",
                    "user": {
                        "client-certificate-data": data(f"{identity}.crt"),
                        "client-key-data": data(f"{identity}.key"),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": f"{cluster}-{identity}"}}],
            "current-context": cluster,
        },
        sort_keys=False,
    ).encode()
