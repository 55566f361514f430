"""The walk itself: every step typed where it belongs, its answer checked, told to an observer as it goes."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from wellhead.api.meta import Obj
from wellhead.tutorial.drawing import drawing
from wellhead.tutorial.expect import Facts, fill
from wellhead.tutorial.shells import Shell
from wellhead.tutorial.steps import Section, Step, document

_ANSWER_TIMEOUT = 60.0
_ASK_AGAIN_AFTER = 0.2


@dataclass(frozen=True)
class Outcome:
    """A step as it went: where it ran, what was typed and printed, and what differs from a right answer."""

    section: str
    host: str
    command: str
    output: str
    differences: tuple[str, ...]
    note: str = ""
    drawing: str = ""

    @property
    def ok(self) -> bool:
        return not self.differences


class Walk:
    """One walk through the document on a running cluster. Use as a context manager: it ends its shells."""

    def __init__(self, cluster: str, client_address: str, proxy_mode: str) -> None:
        self._cluster = cluster
        self._proxy_mode = proxy_mode
        self._facts: Facts = {"client": client_address}
        self._shells: dict[str, Shell] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            nodes = json.loads(self._shell("client").run("kubectl get nodes -o json"))["items"]
        except BaseException:
            self._stack.close()
            raise
        self._facts["nodes"] = [node["metadata"]["name"] for node in nodes]
        self._facts["node_addresses"] = [address for node in nodes for address in _masquerade_addresses(node)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def sections(self) -> tuple[Section, ...]:
        """What will be walked."""
        return document(len(self._facts["nodes"]), self._proxy_mode)

    def run(self, section: Section) -> Iterator[Outcome]:
        """Walk one section, step by step.

        Raises:
            ShellError: a shell is lost, or a command didn't end in time; the walk can't go on.
        """
        for step in section.steps:
            host = self._host(step)
            command = fill(step.command, self._facts)
            deadline = time.monotonic() + step.patience
            while True:
                output = self._type(step, host, command)
                differences = step.expect(output, self._facts)
                if not differences or time.monotonic() >= deadline:
                    break
                time.sleep(_ASK_AGAIN_AFTER)
            place = "pod busybox" if step.where == "pod" else host
            drawn = drawing(self._cluster, step.drawn) if step.drawn is not None and not differences else ""
            yield Outcome(section.title, place, command, output, tuple(differences), step.note, drawn)

    def _host(self, step: Step) -> str:
        match step.where:
            case "client" | "pod":  # the pod's terminal is a `kubectl run -it` on the client
                return "client"
            case "node":
                return str(self._facts["nodes"][0])
            case "endpoint node":
                return str(self._facts["endpoint_node"])
            case "other node":
                return str(self._facts["other_node"])

    def _type(self, step: Step, host: str, command: str) -> str:
        shell = self._shell(host)
        if step.enters:
            return shell.enter(command, step.enters)
        if step.leaves:
            return shell.leave(command)
        if step.where == "pod":
            return shell.run_inside(command)
        return shell.run(command)

    def _shell(self, host: str) -> Shell:
        if host not in self._shells:
            self._shells[host] = self._stack.enter_context(Shell(self._cluster, host, _ANSWER_TIMEOUT))
        return self._shells[host]


def _masquerade_addresses(node: Obj) -> Iterator[str]:
    """What a packet that this node masqueraded carries: its InternalIP, or its gateway on the pod network."""
    for address in node["status"]["addresses"]:
        if address["type"] == "InternalIP":
            yield address["address"]
    yield str(next(ipaddress.ip_network(node["spec"]["podCIDR"]).hosts()))
