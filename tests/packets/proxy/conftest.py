"""A world for each backend, shared by the tests of a module; an API server and proxies in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.packets.proxy.backends import IPTABLES
from tests.packets.proxy.fake_api import PORT, FakeApi
from tests.packets.proxy.nftables_world import NftablesWorld
from tests.packets.proxy.process import NODE_CIDR, Proxy, at, other, web
from tests.packets.proxy.world import NODE, POD_A, Host, World
from wellhead.proxy.config import Config
from wellhead.proxy.main import cleanup


class Start(Protocol):
    """Starts a proxy: with the usual flags and `flags`, or with the latter alone."""

    def __call__(self, *flags: str, alone: bool = False) -> Proxy: ...


@pytest.fixture(scope="module", params=IPTABLES)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Programmed by iptables mode in a variant, or by nftables mode."""
    found = NftablesWorld() if request.param == "nftables" else World(request.param)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def api(world: World) -> Iterator[FakeApi]:
    found = FakeApi(world.node)
    found.put(
        "nodes",
        {
            "metadata": {"name": "node-1"},
            "spec": {"podCIDRs": ["10.244.1.0/24"]},
            "status": {"addresses": [{"type": "InternalIP", "address": NODE}]},
        },
    )
    found.put("services", web(), other())
    found.put("endpointslices", at(POD_A))
    found.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "x"}}],
                "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{PORT}"}}],
            }
        )
    )
    return file


@pytest.fixture
def start(world: World, kubeconfig: Path, tmp_path: Path) -> Iterator[Start]:
    started: list[Proxy] = []
    log = tmp_path / "log"
    usual = [
        *("--kubeconfig", str(kubeconfig), *NODE_CIDR),
        *("--iptables-variant", world.variant, "--iptables-sync-period", "1s"),
    ]

    def start(*flags: str, alone: bool = False) -> Proxy:
        started.append(Proxy(world, log, *(flags if alone else (*usual, *flags))))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.kill()
        print(log.read_text() if started else "")
        # As `--cleanup` does, which has tests of its own: a process a test less.
        world.node.await_(cleanup(Config("node-1", kubeconfig=str(tmp_path / "none"))))


@pytest.fixture
def host() -> Iterator[Host]:
    """A network namespace with nothing in it."""
    found = Host()
    try:
        yield found
    finally:
        found.close()
