"""What is made of machines from outside: links, addresses, routes, settings, the edge's rules, own mounts.

Made, and kept as the design has it: what others change is heard of, and put back.
"""

from __future__ import annotations

import logging
import os
import selectors
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wellhead.lab import machine_mounts, machines
from wellhead.lab.cluster import LabError
from wellhead.lab.design import Design
from wellhead.lab.machine_mounts import Devices
from wellhead.lab.machines import Machine
from wellhead.lab.mount_watch import MountWatch
from wellhead.lab.seclusion import Belongings
from wellhead.lab.topology import EDGE
from wellhead.linux import mounts

if TYPE_CHECKING:
    from pathlib import Path

    from wellhead.lab.network_watch import NetworkWatch

log = logging.getLogger("wellhead.supervisor")


class Wiring:
    """One cluster's, in the supervisor's selector: a registration carries what is to be called."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._wired: set[str] = set()
        self._edge_rules = ""
        self._networks: NetworkWatch | None = None
        self._mounts = MountWatch(selector)

    def __contains__(self, name: str) -> bool:
        """Whether the machine has been wired since it was switched on."""
        return name in self._wired

    def forget(self, name: str) -> None:
        """The machine was switched off."""
        self._wired.discard(name)
        self._mounts.detach(name)
        if self._networks:
            self._networks.detach(name)
        if name == EDGE:
            self._edge_rules = ""

    def deadline(self, now: float) -> float:
        """When there is something to put back that was put off."""
        networks = self._networks.deadline(now) if self._networks else float("inf")
        return min(networks, self._mounts.deadline(now))

    def wire(
        self,
        design: Design,
        switched_on: Mapping[str, Machine],
        running: set[str],
        now: float,
        meanwhile: Callable[[], None],
    ) -> set[str]:
        """Make what is missing, put back what was changed; returns who has lost what its components had open.

        `running` are the machines where components run, `meanwhile` is done while a child process works.

        Raises:
            LabError: a step was refused.
        """
        changed, edge_changed = self._networks.take(now) if self._networks else ([], False)
        unmounted = {name: paths for name, paths in self._mounts.take(now).items() if name in switched_on}
        doubtful = {name for name in switched_on if name not in self._wired or name in changed}
        if edge_changed:
            self._edge_rules = ""
        rules = design.edge_rules if design.edge_rules != self._edge_rules else ""
        if not doubtful and not rules and not unmounted:
            return set()
        known = {name: self._mounts.known(name) for name in unmounted}

        def work() -> str:
            # Here and not above: the child loads the netlink library while the parent loads the components.
            from wellhead.lab import links

            for name, paths in unmounted.items():
                _mount(switched_on[name], paths, *known[name])
            return msgspec.json.encode(links.repair(design.topology, switched_on, doubtful, rules)).decode()

        wait = machines.start_child(work)
        try:
            meanwhile()
        finally:
            report = wait()
        repair = msgspec.json.decode(report)
        self._wired |= doubtful
        self._edge_rules = design.edge_rules
        if edge_changed:
            log.warning("somebody changed the edge's rules: put back")
        for name, what in repair["mended"].items():
            log.warning("somebody changed the network of %s (%s): put back", name, ", ".join(what))
        for name, paths in unmounted.items():
            log.warning("somebody changed mounts of %s (%s): put back", name, ", ".join(map(str, paths)))
            self._mounts.settled(name)
        fresh = set(repair["fresh"])
        anew = {name for name, paths in unmounted.items() if machine_mounts.PROC in paths}
        self._watch_networks(design, switched_on, repair["nft"], fresh | anew)
        self._watch_mounts(design, switched_on, running)
        return fresh | {name for name, paths in unmounted.items() if _is_state_lost(design, paths)}

    def _watch_networks(
        self, design: Design, switched_on: Mapping[str, Machine], nft: int, fresh: set[str]
    ) -> None:
        """Hear from now on what others change of the networks that have just been made (`nft`: by whom)."""
        # Here and not above: see `wire`.
        from wellhead.lab import edge, network_facts
        from wellhead.lab.network_watch import NetworkWatch

        if self._networks is None:
            self._networks = NetworkWatch(self._selector, edge.TABLE)
        self._networks.ours(nft)
        for name, machine in switched_on.items():
            wanted = network_facts.wanted(design.topology, name)
            try:
                if name in self._networks:
                    self._networks.want(name, wanted, name in fresh)
                else:
                    self._networks.attach(machine, wanted)
                    if name == EDGE:
                        self._networks.attach_table(machine)
                self._networks.settled(name)
            except OSError as error:  # it was switched off, of which we will hear
                log.info("%s isn't watched: %s", name, error)

    def _watch_mounts(self, design: Design, switched_on: Mapping[str, Machine], running: set[str]) -> None:
        for name, machine in switched_on.items():
            belongings = _belongings(design, name)
            try:
                if name in self._mounts:
                    self._mounts.want(name, belongings)
                else:
                    self._mounts.attach(machine, belongings, name in running)
            except OSError as error:  # as above
                log.info("%s isn't watched: %s", name, error)


def _belongings(design: Design, name: str) -> list[Belongings]:
    return [each.belongings for each in design.components if each.machine == name and each.belongings]


def _is_state_lost(design: Design, paths: Sequence[Path]) -> bool:
    """Whether components have to begin again: their sockets, locks and directories are others now."""
    roots = {each.belongings.root for each in design.components if each.belongings}
    return not roots.isdisjoint(paths) or machine_mounts.RUN in paths


def _mount(
    machine: Machine, paths: Sequence[Path], devices: Devices, belongings: Sequence[Belongings]
) -> None:
    """Put a machine's mounts back, in a process of its own. Raises LabError."""
    pid = machine.fork()
    if pid == 0:
        status = 1
        try:
            there = mounts.mounts(machine.pid)
            machine.join()
            machine_mounts.put_back(paths, devices, there, belongings)
            status = 0
        except OSError as error:
            log.error("%s: %s", machine.name, error)
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status:
        raise LabError(f"the mounts of {machine.name} can't be put back: see the supervisor's log")
