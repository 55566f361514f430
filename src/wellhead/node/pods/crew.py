"""The containers of one pod, each kept by a supervisor: which run when, and who ends with whom.

Source: "Pod Lifecycle", "Init Containers" and "Sidecar Containers"; KEP-753, KEP-5532.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wellhead.api.meta import Obj
from wellhead.node.pods import names, restarting, security, spec, unsupported
from wellhead.node.pods.state import PodState
from wellhead.node.pods.supervisor import Supervisor
from wellhead.waiting import first_of


class Crew:
    """`told` is set once the pod shall end; `grace` are the seconds that its containers have then."""

    def __init__(self, state: PodState, told: asyncio.Event, grace: Callable[[], float]) -> None:
        self._state = state
        self._told = told
        self._grace = grace
        self._supervisors: list[Supervisor] = []
        self._active: list[Supervisor] = []
        self._sidecars: list[Supervisor] = []
        self._restarting = False
        self.dismissed = False
        """Whether the containers end because the sandbox is lost, and start again with another."""
        state.restart_all = self._restart_all

    def update(self, pod: Obj) -> None:
        """The pod as it shall be now."""
        for supervisor in self._supervisors:
            supervisor.update(pod)

    def stop(self) -> None:
        """Let them end. The hooks of sidecars run with the others', but they get their signals last."""
        for supervisor in self._active:
            supervisor.stop(self._grace())
        for sidecar in self._sidecars:
            sidecar.stop(self._grace(), in_turn=True)

    def dismiss(self) -> None:
        """Let them end, for another sandbox."""
        self.dismissed = True
        self.stop()

    def recall(self) -> None:
        """There is another sandbox: they may run again."""
        self._active.clear()
        self._sidecars.clear()
        self.dismissed = False

    async def run(self) -> None:
        """Run the containers until they have ended for good."""
        async with asyncio.TaskGroup() as group:
            over = asyncio.Event()
            group.create_task(self._run_ephemeral(over))
            await self._run_containers(group)
            while self._restarting and not (self._told.is_set() or self.dismissed):
                await self._begin_anew()
                await self._run_containers(group)
            over.set()

    async def _run_containers(self, group: asyncio.TaskGroup) -> None:
        sidecars: list[tuple[Supervisor, asyncio.Task[bool]]] = []
        if await self._initialize(group, sidecars):
            tasks = []
            for container in spec.containers(self._state.pod):
                supervisor = self._supervise(container, init=False)
                self._activate(supervisor)
                tasks.append(group.create_task(supervisor.run()))
                # In order: a container's postStart hook may be what the next one waits for.
                await supervisor.tried.wait()
            for task in tasks:
                await task
        # Sidecars go when all others are gone, the one that started first last of all.
        for sidecar, _ in sidecars:
            sidecar.stop(self._grace(), in_turn=True)
        for sidecar, task in reversed(sidecars):
            sidecar.take_turn()
            await task
        self._sidecars.clear()

    async def _run_ephemeral(self, over: asyncio.Event) -> None:
        """Run whoever comes to look on, once each, until the others are over."""
        mine: dict[str, Supervisor] = {}
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                heard = self._state.heard
                for container in spec.ephemeral_containers(self._state.pod):
                    name = str(container["name"])
                    if name not in mine and not names.refusal(self._state.pod):
                        mine[name] = Supervisor(self._state, container, once=True)
                        self._supervisors.append(mine[name])
                        self._activate(mine[name])
                        self._say_of_onlooker(container)
                        group.create_task(mine[name].run())
                await first_of(heard.wait(), over.wait())
            for supervisor in mine.values():
                supervisor.stop(self._grace())

    def _say_of_onlooker(self, container: Obj) -> None:
        context = self._state.context
        if self._state.record.of(container["name"]).current is None:  # else it has been said
            limits = context.runtime.limits
            available = security.available(self._state.pod, context.capabilities)
            for message in unsupported.of_onlooker(container, available, limits=limits):
                self._state.event("Warning", "Unsupported", message)

    async def _initialize(
        self, group: asyncio.TaskGroup, sidecars: list[tuple[Supervisor, asyncio.Task[bool]]]
    ) -> bool:
        """Run the init containers, one after the other. False if the pod shall not go on."""
        for container in spec.init_containers(self._state.pod):
            supervisor = self._supervise(container, init=True)
            if spec.is_sidecar(container):
                sidecars.append((supervisor, group.create_task(supervisor.run())))
                self._sidecars.append(supervisor)
                if self._told.is_set() or self.dismissed:
                    supervisor.stop(self._grace(), in_turn=True)
                await first_of(supervisor.started.wait(), supervisor.over.wait(), self._told.wait())
            elif not self._has_succeeded(container):
                self._activate(supervisor)
                if not await supervisor.run():
                    return False
            if self._told.is_set() or self.dismissed or self._restarting:
                return False
        return True

    def _supervise(self, container: Obj, *, init: bool) -> Supervisor:
        supervisor = Supervisor(self._state, container, init=init)
        self._supervisors.append(supervisor)
        if self._restarting:
            supervisor.kill()
        return supervisor

    def _has_succeeded(self, container: Obj) -> bool:
        attempt = self._state.record.of(container["name"]).current
        return attempt is not None and attempt.succeeded

    def _activate(self, supervisor: Supervisor) -> None:
        self._active.append(supervisor)
        if self._told.is_set() or self.dismissed:
            supervisor.stop(self._grace())

    def _restart_all(self) -> None:
        """A container's exit means that all others end at once, and all start anew."""
        if not self._restarting:
            self._restarting = self._state.view.restarting = True
            self._state.changed()
            for supervisor in self._supervisors:
                if not supervisor.once:
                    supervisor.kill()

    async def _begin_anew(self) -> None:
        """Forget the runs of all containers, which have ended; sandbox, volumes and onlookers stay."""
        for container in (*spec.init_containers(self._state.pod), *spec.containers(self._state.pod)):
            mine = self._state.record.of(container["name"])
            if mine.current is not None and mine.current.finished_at:
                restarting.mark(mine.current)
                mine.delay = 0.0
                self._state.view.waiting[container["name"]] = restarting.WAITING
        self._supervisors = [each for each in self._supervisors if each.once]
        self._active = [each for each in self._active if each.once]
        self._restarting = self._state.view.restarting = False
        await self._state.save()
