"""Keeps one container as its restart policy says, from its first start until it has ended for good.

Source: "Pod Lifecycle", pkg/kubelet/kuberuntime/kuberuntime_{manager,container}.go of v1.37.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj, format_time, now, parse_time
from wellhead.backoff import Backoff
from wellhead.client.rest import ConnectionLost
from wellhead.images.store import Image
from wellhead.node.pods import hooks, images, last_words, reruns, resizing, spec, starting, stopping
from wellhead.node.pods.checks import Checks
from wellhead.node.pods.ending import Ending
from wellhead.node.pods.environment import UnsupportedVariable, VariableError
from wellhead.node.pods.mounting import MountError
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.seccomp import ProfileError
from wellhead.node.pods.security import SecurityError
from wellhead.node.pods.starting import ConfigError
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status import Waiting
from wellhead.node.runtime.cgroups import Limits
from wellhead.node.runtime.commands import uninterrupted
from wellhead.node.runtime.containers import Exit, RuntimeFailure
from wellhead.node.runtime.oci import Container
from wellhead.text import printable
from wellhead.waiting import before, comes, first_of

_LOST = 137  # the exit code of a container whose own nobody saw
_LOST_MESSAGE = (
    "conmon, which kept the container and would have noted its exit code, was killed; the container was "
    "ended with it, and its own exit code is not known"
)
_START_FAILED, _KILLED = 128, 128 + 9
_RESIZE_AGAIN = 2.0  # seconds after a resize that failed: memory in use can be too much


class Supervisor:
    """One container. `run` does the work; `stop` tells it to come to an end."""

    def __init__(self, state: PodState, container: Obj, *, init: bool = False, once: bool = False) -> None:
        """With `once`, it is started once and never again: an ephemeral container."""
        self._state = state
        self._container = state.granted(container)
        self._name: str = container["name"]
        self.once = once
        self._policy = "Never" if once else spec.restart_policy(state.pod, container, init=init)
        self._is_step = init and not spec.is_sidecar(container)
        self._kind = "ephemeral_container" if once else "init_container" if init else "container"
        self._stopping = asyncio.Event()
        self._end = Ending()
        self._turn = asyncio.Event()
        self._turn.set()
        self._outdated = asyncio.Event()
        self._resized = asyncio.Event()
        self._for_resize = False
        self._losses = Backoff(0.05, 10.0)
        self._images = images.Images(state)
        self.tried = asyncio.Event()
        """Set once the container was started, or it turned out that it can't be (now)."""
        self.started = asyncio.Event()
        """Set once its startup probe (if any) has passed."""
        self.over = asyncio.Event()
        """Set once it has ended for good."""

    def stop(self, grace: float, *, in_turn: bool = False) -> None:
        """Let the container end within `grace` seconds, and start it no more. May be called again.

        `in_turn`: its preStop hook runs now, but it gets its signal only when `take_turn` is called or the
        time is over.
        """
        if not in_turn:
            self._turn.set()
        elif not self._stopping.is_set():
            self._turn.clear()
        self._stopping.set()
        self._end.begin(f"Stopping container {self._name}", grace)

    def take_turn(self) -> None:
        """Those that it serves have ended."""
        self._turn.set()

    def kill(self) -> None:
        """Let the container end at once, without hooks, and start it no more: all are restarted."""
        self._end.abrupt = True
        self.stop(0.0)

    def update(self, pod: Obj) -> None:
        """The pod as the API has it now: another image means another run, whatever the policy."""
        everyone = spec.every_container(pod)
        before = self._container
        found = next((each for each in everyone if each["name"] == self._name), None)
        self._container = before if found is None else self._state.granted(found)
        if self._container["image"] != before["image"]:
            self._outdated.set()
        self._resize()

    def _resize(self) -> None:
        """Other resources for the run that there is; a new one, if the container wants that."""
        mine = self._state.record.of(self._name)
        wanted = self._container.get("resources")
        if mine.current is None or not mine.current.running:
            return
        names = resizing.changed(mine.resources, wanted)
        if not names:
            return
        if resizing.must_restart(self._container, names):
            self._for_resize = True
            self._outdated.set()
        else:
            self._resized.set()

    async def run(self) -> bool:
        """Until the container has ended and won't be started again: whether its last exit code was 0.

        Cancelling this leaves the container as it is.
        """
        mine = self._state.record.of(self._name)
        await self._recover()
        if mine.current is not None and mine.current.running:
            self.tried.set()
            if mine.current.started:
                self.started.set()
            await self._attend(mine.current, fresh=False)
        while not self._restarts_all() and self._should_start() and await self._wait_turn():
            attempt = await self._launch()
            self.tried.set()
            if attempt is not None and attempt.running:
                await self._attend(attempt, fresh=True)
        self.tried.set()
        self.over.set()
        if self._restarts_all():
            self._state.restart_all()
            return False
        current = mine.current
        return current is not None and current.succeeded

    async def _recover(self) -> None:
        """See to a run that an earlier agent was just about to start when it was killed."""
        mine, runtime = self._state.record.of(self._name), self._state.context.runtime
        attempt = mine.current
        if attempt is None or attempt.launched or attempt.finished_at:
            return
        bundle = self._state.bundle(self._name, attempt.number)
        if await runtime.is_started(attempt.id, bundle):
            attempt.launched, attempt.started_at = True, now()
            if not self._waits_before_started():
                self._mark_started(attempt)
        else:
            await runtime.delete(attempt.id, bundle)
            mine.current, mine.last = mine.last, None
        await self._state.save()

    def _should_start(self) -> bool:
        current = self._state.record.of(self._name).current
        return not self._stopping.is_set() and reruns.is_wanted(current, self._container, self._policy)

    def _restarts_all(self) -> bool:
        current = self._state.record.of(self._name).current
        return not self._stopping.is_set() and reruns.of_all(current, self._container)

    async def _wait_turn(self) -> bool:
        """Wait out the delay after a failure. False if the container shall not be started any more."""
        mine = self._state.record.of(self._name)
        if mine.current is None:
            return True
        if mine.current.replaced:
            mine.delay = 0.0
            return True
        if mine.current.lost:  # through no fault of its own: that doesn't count
            await self._pause(self._losses.next())
            return not self._stopping.is_set()
        self._outdated.clear()
        left = reruns.delay(mine, self._container, _seconds_since(mine.current.finished_at))
        if left > 0:
            pod = spec.described(self._state.pod)
            delay, what = reruns.shown(mine.delay), "restarting failed container"
            message = f"back-off {delay} {what}={self._name} pod={pod}"
            self._state.wait_for(self._name, Waiting("CrashLoopBackOff", message))
            self._state.event("Warning", "BackOff", f"Back-off {what} {self._name} in pod {pod}")
            await self._pause(left)
            if mine.current.image != self._container["image"]:
                mine.delay = 0.0  # what failed is no more
        mine.delay = reruns.longer(mine.delay)
        return not self._stopping.is_set()

    async def _launch(self) -> Attempt | None:
        """Make and start the container's next run. None if told to stop before it could be."""
        state, mine = self._state, self._state.record.of(self._name)
        earlier = mine.current or mine.last
        number = earlier.number + 1 if earlier else 0
        prepared = await self._prepare(number)
        if prepared is None:
            return None
        image, container = prepared
        attempt = Attempt(container.id, number, self._container["image"], image.id)
        attempt.image_name = image.name_by_digest(self._container["image"])
        attempt.user = (container.user.uid, container.user.gid, *container.user.groups)
        if mine.current is not None:
            mine.last = mine.current
        mine.current = attempt
        mine.resources = dict(self._container.get("resources") or {})
        self._for_resize = False
        await state.file.save(state.record)  # before anything of it is made
        await asyncio.to_thread(last_words.forget_before, state, self._name, number - 1)
        async with state.context.starting:
            await uninterrupted(self._start(container, attempt))
        state.wait_for(self._name, None)
        return attempt

    async def _start(self, container: Container, attempt: Attempt) -> None:
        state, runtime = self._state, self._state.context.runtime
        try:
            await runtime.create(container)
            state.event("Normal", "Created", f"Created container: {self._name}")
            await runtime.start(container.id)
        except RuntimeFailure as error:
            await runtime.delete(container.id, container.bundle)
            attempt.exit_code, attempt.reason = _START_FAILED, "StartError"
            attempt.message = printable(str(error), lines=True)
            attempt.finished_at = now()
            state.event("Warning", "Failed", f"Error: {error}")
            runtime.operations.not_started(self._kind, "RunContainerError")
        else:
            attempt.launched, attempt.started_at = True, now()
            if not self._waits_before_started():
                self._mark_started(attempt)
            state.event("Normal", "Started", f"Started container {self._name}")
            runtime.operations.started(self._kind)
        await state.save()

    async def _prepare(self, number: int) -> tuple[Image, Container] | None:
        """The image and the plan, tried again until both can be had. None if told to stop meanwhile."""
        backoff = Backoff(0.5, 20.0)
        while not self._stopping.is_set():
            self._outdated.clear()
            arrival = self._state.context.arrivals.next
            try:
                image = await self._find_image()
                if isinstance(image, Image):
                    plan = starting.plan(self._state, self._container, image, os.urandom(32).hex(), number)
                    return image, await plan
                self.tried.set()
                await self._pause(image, arrival)
                continue
            except (ConfigError, MountError, SecurityError, VariableError) as error:
                is_late = isinstance(error, ProfileError)
                waiting = "CreateContainerError" if is_late else "CreateContainerConfigError"
                self._state.wait_for(self._name, Waiting(waiting, str(error)))
                reason = "Unsupported" if isinstance(error, UnsupportedVariable) else "Failed"
                self._state.event("Warning", reason, f"Error: {error}")
            except (ApiError, ConnectionLost) as error:
                self._state.wait_for(self._name, Waiting("CreateContainerConfigError", str(error)))
            self.tried.set()
            await self._pause(backoff.next(), arrival)
        return None

    async def _find_image(self) -> Image | float:
        """As `Images.find`, but a pull ends when told to stop, or that it shall be another one's."""
        found = await before(self._images.find(self._container), self._stopping.wait(), self._outdated.wait())
        return 0.0 if found is None else found

    async def _attend(self, attempt: Attempt, *, fresh: bool) -> None:
        """Look after a running container until it has ended; then note how."""
        runtime, bundle = self._state.context.runtime, self._state.bundle(self._name, attempt.number)
        async with asyncio.TaskGroup() as group:
            care = group.create_task(self._care(attempt, fresh=fresh))
            exit_ = await runtime.exited(attempt.id, bundle)
            care.cancel()
        await uninterrupted(self._note_exit(attempt, exit_))

    async def _note_exit(self, attempt: Attempt, exit_: Exit | None) -> None:
        state = self._state
        attempt.ready = False
        if exit_ is None:
            attempt.finished_at = now()
            attempt.exit_code, attempt.reason, attempt.lost = _LOST, "ContainerStatusUnknown", True
            attempt.message = _LOST_MESSAGE
            state.event("Warning", "KeeperLost", f"Container {self._name}: {_LOST_MESSAGE}")
        else:
            attempt.finished_at = format_time(exit_.time)
            attempt.exit_code, attempt.reason = exit_.code, "Error" if exit_.code else "Completed"
            if exit_.code == _KILLED and await state.context.runtime.starved(attempt.id):
                attempt.reason = "OOMKilled"
            attempt.message = await asyncio.to_thread(last_words.read, state, self._container, attempt)
        ran = (parse_time(attempt.finished_at) - parse_time(attempt.started_at)).total_seconds()
        if exit_ is not None or ran > reruns.FORGIVEN_AFTER:
            self._losses.reset()
        if ran > reruns.FORGIVEN_AFTER:
            state.record.of(self._name).delay = 0.0
        if not self._stopping.is_set():
            self._end = Ending()
        state.context.runtime.operations.ended(self._kind, attempt.exit_code, attempt.reason)
        await state.save()
        await state.context.runtime.delete(attempt.id, state.bundle(self._name, attempt.number))

    async def _care(self, attempt: Attempt, *, fresh: bool) -> None:
        hook = (self._container.get("lifecycle") or {}).get("postStart") if fresh else None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._end_when_told(attempt))
            group.create_task(self._end_when_outdated(attempt))
            group.create_task(self._resize_when_told(attempt))
            if hook:
                try:
                    await hooks.run(self._state, self._container, hook)
                except hooks.HookFailed:
                    self._state.event("Warning", "FailedPostStartHook", "PostStartHook failed")
                    self._end_run("FailedPostStartHook", None)
                    return
            ran = 0.0 if fresh else _seconds_since(attempt.started_at)
            checks = Checks(self._state, self._container, self._end_run, lambda: self._end.begun, ran)
            if not attempt.started:
                await checks.startup()
                self._mark_started(attempt)
                await self._state.note()
            group.create_task(checks.readiness(attempt))
            group.create_task(checks.liveness())

    def _waits_before_started(self) -> bool:
        hook = (self._container.get("lifecycle") or {}).get("postStart")
        return bool(hook or self._container.get("startupProbe"))

    def _mark_started(self, attempt: Attempt) -> None:
        attempt.started = True
        if not self._container.get("readinessProbe"):
            attempt.ready = True
        self.started.set()

    def _end_run(self, why: str, probe: Obj | None) -> None:
        """End the present run, for a reason of its own; the restart policy decides what follows."""
        if not self._end.begun:
            grace = (probe or {}).get("terminationGracePeriodSeconds")
            self._end.begin(why, float(spec.grace_period(self._state.pod) if grace is None else grace))

    async def _end_when_outdated(self, attempt: Attempt) -> None:
        while self._is_step or (attempt.image == self._container["image"] and not self._for_resize):
            self._outdated.clear()
            await self._outdated.wait()
        if not self._end.begun:
            attempt.replaced = True
            await self._state.note()
            why = "resize requires restart" if self._for_resize else "definition changed, will be restarted"
            self._end_run(f"Container {self._name} {why}", None)

    async def _resize_when_told(self, attempt: Attempt) -> None:
        state, mine = self._state, self._state.record.of(self._name)
        self._resize()  # it may have been told while nobody listened
        retries, retry = Backoff(_RESIZE_AGAIN, 60.0), None
        while True:
            await comes(self._resized, retry)
            self._resized.clear()
            wanted = dict(self._container.get("resources") or {})
            try:
                limits = Limits.of(state.effective(self._container)) or Limits()
                await state.context.runtime.resize(attempt.id, limits)
            except OSError as error:
                retry = retries.next()
                text = f"Container {self._name} can't be resized: {error.strerror or error}"
                if resizing.fail(state.record, text):
                    state.event("Warning", "ResizeError", resizing.summary(state.pod, "error", text))
                await state.note()
                continue
            retry = None
            retries.reset()
            mine.resources = wanted
            await state.note()

    async def _end_when_told(self, attempt: Attempt) -> None:
        self._state.event("Normal", "Killing", await self._end.told())
        await stopping.stop(self._state, self._container, attempt, self._end, self._turn)

    async def _pause(self, seconds: float, *sooner: asyncio.Event) -> None:
        """Sleep, but not once told to stop, that the container shall be another one, or what is `sooner`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await first_of(*(event.wait() for event in (self._stopping, self._outdated, *sooner)))


def _seconds_since(time: str) -> float:
    return (parse_time(now()) - parse_time(time)).total_seconds()
