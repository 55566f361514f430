"""The API server that the proxy follows: wellhead's own in a namespace, or any other through a relay."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench.proxy.network import CONTROL_PLANE, Namespace, Node, control_plane
from wellhead.api.errors import ApiError
from wellhead.api.resources import NAMESPACES
from wellhead.client.connection import load
from wellhead.client.rest import Client, ConnectionLost
from wellhead.lab import kubeconfigs, pki

_PORT = 6443
_STARTS_WITHIN = 60.0
_SERVICE_RANGE = "10.96.0.0/14"


@dataclass(frozen=True)
class ApiServer:
    """Where to reach one."""

    name: str
    admin: Path
    """A kubeconfig for the bench, in `namespace`."""
    namespace: Namespace | None
    """None: where the bench was started."""
    proxy: Path
    """A kubeconfig for the proxy, on the node."""

    @contextmanager
    def beside(self) -> Iterator[None]:
        """What the block connects to can be the server, by the kubeconfig `admin`."""
        with self.namespace.entered() if self.namespace is not None else nullcontext():
            yield


@contextmanager
def own(node: Node) -> Iterator[ApiServer]:
    """wellhead's, with nothing else around it; it keeps its objects in memory."""
    with tempfile.TemporaryDirectory(prefix="wellhead-bench-") as name, control_plane(node) as namespace:
        directory = Path(name)
        command = server_command(directory, "memory:", pki.Identity("proxy", "system:kube-proxy"))
        for identity in ("admin", "proxy"):
            (directory / identity).write_bytes(
                kubeconfigs.render("bench", directory, identity, f"https://{CONTROL_PLANE}:{_PORT}")
            )
        with namespace.program(*command, stderr=subprocess.DEVNULL):
            server = ApiServer(
                "wellhead's own API server", directory / "admin", namespace, directory / "proxy"
            )
            with server.beside():
                wait_for(server.admin)
            yield server


def server_command(directory: Path, storage: str, *identities: pki.Identity) -> list[str]:
    """What runs an API server at CONTROL_PLANE; its certificates and those of `identities` are made there."""
    pki.ensure(
        directory,
        (
            pki.Identity(pki.APISERVER, "kube-apiserver", names=(ip_address(CONTROL_PLANE),)),
            pki.Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
            pki.Identity("admin", "kubernetes-admin", ("system:masters",)),
            *identities,
        ),
    )
    pki.ensure_signing_key(directory)
    return [
        *(sys.executable, "-m", "wellhead.cli.main", "apiserver", "--storage", storage),
        *("--bind-address", CONTROL_PLANE, "--secure-port", str(_PORT)),
        *("--advertise-address", CONTROL_PLANE, "--service-cluster-ip-range", _SERVICE_RANGE),
        *("--tls-cert-file", f"{directory / pki.APISERVER}.crt"),
        *("--tls-private-key-file", f"{directory / pki.APISERVER}.key"),
        *("--client-ca-file", f"{directory / pki.CA}.crt"),
        *("--kubelet-client-certificate", f"{directory / 'apiserver-kubelet-client'}.crt"),
        *("--kubelet-client-key", f"{directory / 'apiserver-kubelet-client'}.key"),
        *("--service-account-key-file", str(directory / pki.SERVICE_ACCOUNT_KEY)),
        *("--log-level", "error"),
    ]


def wait_for(kubeconfig: Path) -> None:
    """Until the API server answers that this leads to."""
    asyncio.run(_answers(kubeconfig))


async def _answers(kubeconfig: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    async with Client(load(str(kubeconfig)), "wellhead-bench") as client:
        while True:
            try:
                await client.list(NAMESPACES)
                return
            except (ApiError, ConnectionLost):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)


@contextmanager
def other(kubeconfig: Path, node: Node) -> Iterator[ApiServer]:
    """Any other. The node, which has no way out, reaches it by a relay on its loopback interface.

    The kubeconfig needs to hold a certificate or a token: as `wellhead.client.connection` reads them.
    """
    document = yaml.safe_load(kubeconfig.read_text())
    url = load(str(kubeconfig)).server
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for entry in document["clusters"]:
        cluster = entry["cluster"]
        cluster["server"] = f"{parts.scheme}://127.0.0.1:{_PORT}{parts.path}"
        cluster.setdefault("tls-server-name", host)
    # Beside the original: what it names relatively is found from there.
    with tempfile.NamedTemporaryFile("w", dir=kubeconfig.parent, prefix=".wellhead-bench-") as copy:
        yaml.safe_dump(document, copy)
        copy.flush()
        with _relay(node.node, host, port):
            yield ApiServer(url, kubeconfig, None, Path(copy.name))


@contextmanager
def _relay(namespace: Namespace, host: str, port: int) -> Iterator[None]:
    """Connections to port 6443 of the namespace's loopback interface go on to `host` from here."""
    with namespace.entered():
        listener = socket.create_server(("127.0.0.1", _PORT))
    with listener:
        command = [sys.executable, "-m", "bench.proxy.relay", str(listener.fileno()), host, str(port)]
        process = subprocess.Popen(command, pass_fds=[listener.fileno()])
    try:
        yield
    finally:
        process.kill()
        process.wait()
