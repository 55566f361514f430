"""What the probes of a running container lead to: events, its readiness, its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from wellhead.api.meta import Obj
from wellhead.node.pods import probing
from wellhead.node.pods.outcome import Outcome
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.state import PodState


class Checks:
    """The probes of one run of a container.

    `end` ends the run for the reason given, within the time that the probe allows; `ending` says whether it
    is being ended: then nobody needs to hear that it is unwell. It has run for `ran` seconds already, if an
    earlier agent has looked after it.
    """

    def __init__(
        self,
        state: PodState,
        container: Obj,
        end: Callable[[str, Obj], None],
        ending: Callable[[], bool],
        ran: float = 0.0,
    ) -> None:
        self._state = state
        self._container = container
        self._end = end
        self._ending = ending
        self._ran = ran

    async def startup(self) -> None:
        """Until the startup probe (if any) has passed."""
        probe, passed = self._container.get("startupProbe"), asyncio.Event()
        if probe is None:
            return

        async def report(ok: bool) -> None:
            if ok:
                passed.set()
            else:
                self._fail("startup", probe)

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch("Startup", probe, report))
            await passed.wait()
            watching.cancel()

    async def readiness(self, attempt: Attempt) -> None:
        """Until cancelled: note whether the run is ready."""

        async def report(ok: bool) -> None:
            if attempt.ready != ok:
                attempt.ready = ok
                await self._state.note()

        if probe := self._container.get("readinessProbe"):
            await self._watch("Readiness", probe, report)

    async def liveness(self) -> None:
        """Until cancelled: end the run when it is dead."""

        async def report(ok: bool) -> None:
            if not ok:
                self._fail("liveness", self._container["livenessProbe"])

        if probe := self._container.get("livenessProbe"):
            await self._watch("Liveness", probe, report)

    def _fail(self, kind: str, probe: Obj) -> None:
        self._end(f"Container {self._container['name']} failed {kind} probe, will be restarted", probe)

    async def _watch(self, kind: str, probe: Obj, report: Callable[[bool], Awaitable[None]]) -> None:
        def said(outcome: Outcome) -> None:
            if outcome.ok:
                self._state.event("Warning", "ProbeWarning", f"{kind} probe warning: {outcome.message}")
            elif not self._ending():
                self._state.event("Warning", "Unhealthy", f"{kind} probe failed: {outcome.message}")

        async def once() -> Outcome:
            outcome = await probing.probe(self._state, self._container, probe)
            result = "successful" if outcome.ok else "failed"
            self._state.probes[self._container["name"], kind, result] += 1
            return outcome

        await probing.watch(once, probe, report, said, ran=self._ran)
