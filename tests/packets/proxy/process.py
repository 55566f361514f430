"""`wellhead proxy` as a process in the world's node, and what its tests ask of it and of its API server."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.forks import Component
from tests.packets.proxy.world import CLIENT, World, dial_in_vain
from tests.patience import PATIENCE, until
from tests.unit.services.objects import Obj, endpoint, service_object, slice_object

VIP = "203.0.113.140"
HEALTH_CHECK_PORT = 32122
NODE_CIDR = ("--hostname-override", "node-1", "--detect-local-mode", "NodeCIDR", "--log-level", "debug")


class Proxy:
    """The process, in the node's namespace."""

    def __init__(self, world: World, log: Path, *flags: str) -> None:
        log.touch()
        self._log, self._begins = log, log.stat().st_size
        self._process = Component("proxy", *flags, network=world.node.path, log=log)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self._process.runs:
            self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        return self._process.wait()

    @property
    def said(self) -> str:
        """What it has logged."""
        return self._log.read_bytes()[self._begins :].decode()

    def has_synced(self) -> bool:
        return "first sync" in self.said


def web(**spec: Any) -> Obj:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", **spec}
    return service_object(
        "web",
        ports=({"port": 80, "nodePort": 30080},),
        ingress=({"ip": VIP},),
        healthCheckNodePort=HEALTH_CHECK_PORT,
        **spec,
    )


def other() -> Obj:
    return service_object("other", cluster_ips=("10.0.0.11",))


def at(*addresses: str) -> Obj:
    return slice_object(
        *(endpoint(each, "node-1" if each.startswith("10.244.1.") else "node-2") for each in addresses)
    )


def eventually(what: Callable[[], bool]) -> None:
    """Wait for something that the proxy has been asked for to come about."""
    until(what)


def get(world: World, url: str, **headers: str) -> tuple[int, str, Any]:
    def fetch() -> tuple[int, str, Any]:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=PATIENCE
            ) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers
        except OSError:  # nobody listens, or no longer
            return 0, "", {}

    return world.node.inside(fetch)


def get_json(world: World, url: str) -> Any:
    return json.loads(get(world, url)[1])


def serves(world: World, *servers: str) -> Callable[[], bool]:
    """Whether exactly these (or nobody, in one of the ways of being nobody) answer at the VIP."""

    def question() -> bool:
        seen: set[str] = set()
        for _ in range(8 if len(servers) > 1 else 3):
            seen.add(dial_in_vain(world.outside, VIP, 80, source=CLIENT).server)
            if not seen <= set(servers):
                return False
        return seen == set(servers)

    return question


def rules(world: World) -> str:
    return "\n".join(sorted(line for line in world.saved().splitlines() if line.startswith("-A")))
