"""The document's server with a Service of each kind, and a page that looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.lab import ECHOSERVER, Lab, kept_up
from tests.page import browser


@dataclass(frozen=True)
class Shop:
    """The server is on node-1, a client in a pod on node-2."""

    lab: Lab
    link: str

    def service(self, name: str) -> Any:
        return self.lab.get("service", name)

    def node_port(self, name: str) -> int:
        return int(self.service(name)["spec"]["ports"][0]["nodePort"])

    def pod_ip(self, name: str) -> str:
        return str(self.lab.get("pod", name)["status"]["podIP"])


@contextmanager
def opened(name: str) -> Iterator[Shop]:
    """In a cluster of this name."""
    with kept_up(Lab(name), "--nodes", "3") as lab:
        lab.run_pod("echo", "node-1", "default", image=ECHOSERVER)
        lab.run_pod("busybox", "node-2", "default", image="busybox")
        lab.expose("clusterip", "echo", "default")
        lab.expose("nodeport", "echo", "default", type="NodePort")
        lab.expose("nodeport-local", "echo", "default", type="NodePort", externalTrafficPolicy="Local")
        lab.expose("loadbalancer", "echo", "default", type="LoadBalancer", externalTrafficPolicy="Local")
        lab.vips("loadbalancer", "default", 1)
        with browser.page("--name", lab.name, "--allow-changes") as link:
            yield Shop(lab, link)
