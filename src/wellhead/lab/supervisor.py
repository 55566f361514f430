"""The supervisor: makes a cluster's machines, starts its components, and starts again what ends.

One thread and no event loop, because it forks. It holds nothing that the cluster needs to live: it may be
killed, and its successor finds machines and components where they are, by /proc, and goes on from there.

    SIGHUP  read cluster.json again, and bring about what it says, at once
    SIGTERM end, and leave the cluster as it is
    SIGUSR1 kill the cluster's processes, then end: what is left to do is to delete files
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable

from wellhead.lab import api_socket, logs, machines, processes, spawn
from wellhead.lab.addresses import IPAddress
from wellhead.lab.cluster import Cluster, ClusterSpec, LabError
from wellhead.lab.components import DNS, HOST, Component, dns_addresses
from wellhead.lab.crew import Crew, Ended, Key, Running, reap, survivors
from wellhead.lab.design import Design
from wellhead.lab.dns_sockets import DnsSockets
from wellhead.lab.guarded import Guarded
from wellhead.lab.machines import Machine
from wellhead.lab.restarts import Restarts
from wellhead.lab.state import ComponentState, MachineState, Publisher, Snapshot
from wellhead.lab.steps import Step
from wellhead.lab.topology import EDGE, control_plane_name
from wellhead.lab.wiring import Wiring

log = logging.getLogger("wellhead.supervisor")

_LOG_CHECK = 60.0  # seconds between looks at the sizes of logs


class Supervisor:
    """Looks after one cluster until SIGTERM.

    `design` says what a specification amounts to, `main` runs a component's command line in its process.
    """

    def __init__(
        self,
        cluster: Cluster,
        design: Callable[[Cluster, ClusterSpec], Design],
        main: spawn.Main = spawn.wellhead,
        api_listener: socket.socket | None = None,
    ) -> None:
        self._cluster = cluster
        self._make_design = design
        self._main = main
        self._api_listener = api_listener
        self._dns_sockets: dict[str, DnsSockets] = {}  # by machine
        self._selector = selectors.DefaultSelector()
        self._machines: dict[str, Machine] = {}
        self._wiring = Wiring(self._selector)
        self._crew = Crew(self._selector, self._component_ended)
        self._guarded = Guarded(cluster, self._selector)
        self._restarts: dict[Key, Restarts] = {}  # a machine's key is (machine, "")
        self._outdated = False
        """Whether the specification is to be read again."""
        self._loading, self._working = Step(), Step()
        self._next_log_check = time.monotonic() + _LOG_CHECK
        self._preloaded: set[str] = set()
        self._now = 0.0  # time.monotonic() of this turn: what isn't due by it has a deadline after it
        self._stopping = False
        self._killing = False
        self._reload = False
        self._environment = _component_environment()
        self._spec, self._design = self._read_design()

    def run(self) -> None:
        """Supervise until SIGTERM.

        Raises:
            OSError: the state socket can't be made.
        """
        self._take_signals()
        publisher = Publisher(self._cluster.supervisor_socket, self._selector, self.snapshot)
        self._adopt()
        while not self._stopping:
            self._now = time.monotonic()
            if self._reload:
                self._reload = False
                self._loading, self._working = Step(), Step()
                self._outdated = True
                self._guarded.begin_again()
                for restarts in self._restarts.values():
                    restarts.begin_again()
            if self._outdated:
                self._outdated = not self._loading.take(self._load, self._now)
            kept = [socket for each in self._dns_sockets.values() for socket in each.held]
            self._guarded.see_to_it(self._now, self._api_listener, kept)
            self._working.take(self._reconcile, self._now)
            publisher.publish()
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._crew.end_overdue()
            self._check_logs()
        self._guarded.end()
        if self._killing:
            self._kill_all()

    def snapshot(self) -> Snapshot:
        """The state, for whoever asks."""
        return Snapshot(
            pid=os.getpid(),
            spec=self._spec,
            problem=self._loading.problem or self._working.problem,
            machines=tuple(self._machine_state(name) for name in self._design.topology.names),
            components=tuple(self._component_state(each) for each in self._design.components),
        )

    def _machine_state(self, name: str) -> MachineState:
        machine = self._machines.get(name)
        restarts = self._restarts_of((name, ""))
        return MachineState(name, machine.pid if machine else 0, restarts.restarts, restarts.problem)

    def _component_state(self, component: Component) -> ComponentState:
        running = self._crew.get(component.key)
        restarts = self._restarts_of(component.key)
        return ComponentState(
            machine=component.machine,
            name=component.name,
            pid=running.pid if running else 0,
            since=running.since if running else restarts.ended,
            restarts=restarts.restarts,
            problem=restarts.problem,
            outdated=running is not None and running.argv != component.argv,
        )

    # What there is.

    def _read_design(self) -> tuple[ClusterSpec, Design]:
        spec = self._cluster.read_spec()
        if spec is None:
            raise LabError(f"{self._cluster.spec_file} is missing or damaged")
        return spec, self._make_design(self._cluster, spec)

    def _load(self) -> None:
        self._spec, self._design = self._read_design()

    def _adopt(self) -> None:
        """Find the machines and components that a predecessor left running."""
        # A child of the predecessor's that had not become what it was forked for.
        found = processes.find(self._cluster.name)
        processes.end(process for process in found if process.component == processes.SUPERVISOR)
        guardians = [process for process in found if process.component == processes.GUARDIAN]
        for process in guardians[:1]:
            if (pidfd := processes.hold(process)) is not None:
                self._guarded.watch(process.pid, pidfd)
                self._recover_listener(process.pid, pidfd)
        processes.end(guardians[1:])
        for name, machine in machines.find(self._cluster.name).items():
            self._add_machine(machine)
            log.info("adopted machine %s (%d)", name, machine.pid)
        for running in survivors(self._cluster.name):
            self._crew.add(running)
            log.info("adopted %s on %s (%d)", running.key[1], running.key[0], running.pid)
            self._recover_listener(running.pid, running.pidfd)
            if running.key in self._dns_addresses():
                addresses = self._dns_addresses()[running.key]
                self._dns_of(running.key[0]).recover(running.pid, running.pidfd, addresses)
        for (name, _), addresses in self._dns_addresses().items():
            if name in self._machines and (keeper := self._guarded.process) is not None:
                self._dns_of(name).recover(*keeper, addresses)

    def _recover_listener(self, pid: int, pidfd: int) -> None:
        """Get the API server's socket out of a process that may have it."""
        if self._api_listener is None:
            self._api_listener = api_socket.recover(pid, pidfd, self._spec.api_port)

    # What there should be.

    def _reconcile(self) -> None:
        wanted = self._design.topology.names
        for name in self._machines.keys() - set(wanted):
            self._switch_off(name)
        for name in wanted:
            if name not in self._machines and self._restarts_of((name, "")).is_due(self._now):
                self._switch_on(name)
        if all(name in self._machines for name in wanted):
            self._wire()
        keys = {component.key for component in self._design.components}
        leaving = [running for running in self._crew if running.key not in keys]
        for running in leaving:
            self._crew.ask_to_end(running)
        # Who takes another's place may need its ports.
        waiting = {running.key[0] for running in leaving}
        for component in self._design.components:
            if component.machine not in waiting or self._crew.get(component.key) is not None:
                self._reconcile_component(component)
        for name in list(self._dns_sockets):
            if (name, DNS) not in keys and self._crew.get((name, DNS)) is None:
                self._dns_sockets.pop(name).close()

    def _switch_on(self, name: str) -> None:
        try:
            self._add_machine(machines.create(self._cluster.name, name))
        except LabError as error:
            self._restarts_of((name, "")).failed(str(error), 0.0)
            raise

    def _switch_off(self, name: str) -> None:
        machine = self._machines[name]
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(machine.pidfd, signal.SIGKILL)

    def _wire(self) -> None:
        """Make what is missing of the machines, put back what was changed, and tell those who lost by it."""
        # Without those on their way out.
        switched_on = {name: self._machines[name] for name in self._design.topology.names}
        running = {each.key[0] for each in self._crew}
        lost = self._wiring.wire(self._design, switched_on, running, self._now, self._prepare)
        for each in self._crew:
            if each.key[0] in lost or (EDGE in lost and self._inherits_edge(each.key)):
                log.info("%s on %s lost what it had", each.key[1], each.key[0])
                self._crew.ask_to_end(each)

    def _prepare(self) -> None:
        """What the first component will need."""
        self._design.write_files()
        for component in self._design.components[:1]:
            self._preload(component.name)

    def _inherits_edge(self, key: Key) -> bool:
        return any(each.key == key and each.inherits == "edge network" for each in self._design.components)

    def _preload(self, name: str) -> None:
        """Load a component's modules just before its first fork: the first need not wait for the others'."""
        if name not in self._preloaded:
            self._preloaded.add(name)
            for problem in spawn.preload(name):
                log.warning("can't load %s", problem)
        # What is loaded will never be garbage: a collection in a child shall leave its pages alone.
        gc.freeze()

    def _reconcile_component(self, component: Component) -> None:
        running = self._crew.get(component.key)
        if running is not None:
            if running.argv != component.argv:
                self._crew.ask_to_end(running)
            return
        restarts = self._restarts_of(component.key)
        is_there = component.machine in self._wiring and component.machine in self._machines
        if (is_there or component.machine == HOST) and restarts.is_due(self._now):
            self._preload(component.name)
            try:
                self._start(component)
            except OSError as error:
                restarts.failed(str(error), 0.0)
                log.warning("%s on %s: %s", component.name, component.machine, error)

    def _start(self, component: Component) -> None:
        machine = self._machines[component.machine] if component.machine != HOST else None
        with contextlib.ExitStack() as stack:
            output = logs.open_for_append(self._cluster.log_file(component.machine, component.name))
            stack.callback(os.close, output)
            inherited: list[int] = []
            if component.inherits == "edge network":
                inherited = [self._machines[EDGE].open_network()]
                stack.callback(os.close, inherited[0])
            elif component.inherits == "api socket":
                inherited = [self._api_socket().fileno()]
            elif component.inherits == "dns sockets":
                assert machine is not None
                addresses = self._dns_addresses()[component.key]
                inherited = self._dns_of(machine.name).open_in(machine, addresses)
            pid = spawn.spawn(
                self._main,
                component,
                machine,
                self._cluster.name,
                log=output,
                inherited=inherited,
                environment=self._environment,
            )
        log.info("started %s on %s (%d)", component.name, component.machine, pid)
        pidfd, now = os.pidfd_open(pid), time.monotonic()
        self._crew.add(Running(component.key, component.argv, pid, pidfd, True, now, time.time()))

    def _api_socket(self) -> socket.socket:
        if self._api_listener is None:
            self._api_listener = api_socket.bind(self._spec.api_port)
        if self._api_listener is None:
            raise OSError(f"another program listens on 127.0.0.1:{self._spec.api_port}")
        return self._api_listener

    def _dns_of(self, machine: str) -> DnsSockets:
        return self._dns_sockets.setdefault(machine, DnsSockets())

    def _dns_addresses(self) -> dict[Key, list[IPAddress]]:
        """Of each machine's DNS server."""
        numbers = range(1, self._spec.control_planes + 1)
        return {(control_plane_name(each), DNS): dns_addresses(self._spec, each) for each in numbers}

    # What happens.

    def _add_machine(self, machine: Machine) -> None:
        self._machines[machine.name] = machine
        self._selector.register(machine.pidfd, selectors.EVENT_READ, lambda: self._machine_ended(machine))

    def _machine_ended(self, machine: Machine) -> None:
        reap(machine.pid)
        self._selector.unregister(machine.pidfd)
        machine.close()
        del self._machines[machine.name]
        self._wiring.forget(machine.name)
        if held := self._dns_sockets.pop(machine.name, None):
            held.close()
        if machine.name in self._design.topology.names:
            log.warning("machine %s was switched off", machine.name)
            self._restarts_of((machine.name, "")).failed("was switched off", 0.0)
        else:
            log.info("machine %s is gone", machine.name)
            self._design.delete_files_of(machine.name)
            self._restarts.pop((machine.name, ""), None)

    def _component_ended(self, ended: Ended) -> None:
        key = ended.running.key
        if any(component.key == key for component in self._design.components):
            log.warning("%s on %s: %s", key[1], key[0], ended.how)
            self._restarts_of(key).failed(ended.how, ended.ran_for)
        else:
            self._restarts.pop(key, None)

    def _check_logs(self) -> None:
        if time.monotonic() >= self._next_log_check:
            self._next_log_check = time.monotonic() + _LOG_CHECK
            with contextlib.suppress(OSError):  # no room for a copy: then next time
                logs.rotate(self._cluster.logs)

    def _patience(self) -> float:
        """Seconds until something is to be done though nothing happens."""
        deadlines = [self._next_log_check, self._crew.deadline, self._guarded.deadline]
        deadlines += [each.not_before for each in (self._loading, self._working) if each.problem]
        names = self._design.topology.names
        idle: list[Key] = [(name, "") for name in names if name not in self._machines]
        if not self._working.problem and not idle:
            deadlines.append(self._wiring.deadline(self._now))
        idle = [*idle, *(each.key for each in self._design.components if self._crew.get(each.key) is None)]
        deadlines += [
            self._restarts_of(key).not_before for key in idle if not self._restarts_of(key).is_due(self._now)
        ]
        return max(0.0, min(deadlines) - time.monotonic())

    def _restarts_of(self, key: Key) -> Restarts:
        return self._restarts.setdefault(key, Restarts())

    def _take_signals(self) -> None:
        readable, writable = socket.socketpair()
        readable.setblocking(False)
        writable.setblocking(False)
        signal.set_wakeup_fd(writable.fileno())
        # Kept by the registration, else they would be closed.
        self._selector.register(readable, selectors.EVENT_READ, lambda: self._drain(readable, writable))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stopping", True))
        signal.signal(signal.SIGINT, lambda *_: setattr(self, "_stopping", True))
        signal.signal(signal.SIGUSR1, lambda *_: self._stop_and_kill())
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "_reload", True))

    def _stop_and_kill(self) -> None:
        self._stopping = self._killing = True

    def _kill_all(self) -> None:
        """Kill and reap: the first process of some systems takes seconds to notice orphans, or never does."""
        self._crew.kill()
        for name in self._machines:
            self._switch_off(name)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()

    def _drain(self, readable: socket.socket, _writable: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while readable.recv(64):
                pass


def _component_environment() -> dict[str, str]:
    """What components get of the environment: nothing that depends on who typed `wellhead up`, or where."""
    kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH", "VIRTUAL_ENV") if name in os.environ}
    return {"PATH": os.environ.get("PATH", machines.SYSTEM_PATH), "LANG": "C.UTF-8", **kept}
