"""One browser for all tests of the page, and one cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.lab import ECHOSERVER, Lab, kept_up
from tests.page import browser
from tests.page.browser import Browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("chromium"))
    yield found
    found.close()


@dataclass(frozen=True)
class Shop:
    """The document's server on node-1, a Service of each kind, a client in a pod on node-2; their page."""

    lab: Lab
    link: str

    def service(self, name: str) -> Any:
        return self.lab.get("service", name)

    def node_port(self, name: str) -> int:
        return int(self.service(name)["spec"]["ports"][0]["nodePort"])

    def pod_ip(self, name: str) -> str:
        return str(self.lab.get("pod", name)["status"]["podIP"])


@pytest.fixture(scope="session")
def shop(chromium: Browser) -> Iterator[Shop]:
    """Needs the browser so that nothing is started for tests that are skipped without one."""
    with kept_up(Lab(f"test-{os.getpid()}-page"), "--nodes", "3") as lab:
        lab.run_pod("echo", "node-1", "default", image=ECHOSERVER)
        lab.run_pod("busybox", "node-2", "default", image="busybox")
        lab.expose("clusterip", "echo", "default")
        lab.expose("nodeport", "echo", "default", type="NodePort")
        lab.expose("nodeport-local", "echo", "default", type="NodePort", externalTrafficPolicy="Local")
        lab.expose("loadbalancer", "echo", "default", type="LoadBalancer", externalTrafficPolicy="Local")
        lab.vips("loadbalancer", "default", 1)
        with browser.page("--name", lab.name, "--allow-changes") as link:
            yield Shop(lab, link)
