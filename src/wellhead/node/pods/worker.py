"""One pod, from its sandbox to its removal.

Source: "Pod Lifecycle" and "Sidecar Containers"; pkg/kubelet/pod_workers.go of v1.37.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from ipaddress import ip_address
from typing import Any

from wellhead.api.errors import ApiError, Conflict, NotFound
from wellhead.api.meta import Obj, now, parse_time
from wellhead.api.resources import PODS
from wellhead.backoff import Backoff
from wellhead.client.rest import ConnectionLost
from wellhead.linux import trees
from wellhead.node.network import policy_guard
from wellhead.node.pods import (
    beginning_anew,
    files,
    grace,
    resizing,
    room,
    runtime_class,
    spec,
    status,
    unsupported,
)
from wellhead.node.pods.admission import Refusal
from wellhead.node.pods.context import Context
from wellhead.node.pods.crew import Crew
from wellhead.node.pods.image_volumes import ImageVolumes
from wellhead.node.pods.record import End, PodRecord, RecordFile, Resize
from wellhead.node.pods.sandbox import Sandbox, SandboxError
from wellhead.node.pods.state import PodState
from wellhead.node.pods.status_writer import StatusWriter
from wellhead.node.pods.whole import Whole
from wellhead.node.runtime.commands import uninterrupted
from wellhead.node.static import manifests
from wellhead.node.volumes.content import VolumeError
from wellhead.node.volumes.pod_volumes import PodVolumes
from wellhead.waiting import comes, first_of

_log = logging.getLogger(__name__)

# A pod's object goes before its containers only when somebody forces it (kubectl delete --force).
_FORCED_GRACE = 1.0


class PodWorker:
    """Owns one pod (one UID). `run` does the work; `update` and `vanish` say what the API says."""

    def __init__(self, context: Context, pod: Obj, record: PodRecord | None = None) -> None:
        directory = context.pods / pod["metadata"]["uid"]
        self.uid: str = pod["metadata"]["uid"]
        self._record = record or PodRecord(pod)
        self._record.pod = pod
        file = RecordFile(directory)
        volumes = PodVolumes(
            pod, context.client, context.references, directory / "volumes", context.allocatable
        )
        self.state = PodState(
            context=context,
            directory=directory,
            record=self._record,
            view=status.View(context.host_ips),
            sandbox=Sandbox(context, directory, file),
            volumes=volumes,
            file=file,
            listeners=[self._changed],
        )
        volumes.find_image = ImageVolumes(self.state).find
        self._writer = StatusWriter(context.client, pod, shown=not manifests.is_static(pod))
        self._told = asyncio.Event()
        self._torn_down = asyncio.Event()
        self._vanished = asyncio.Event()
        self._updated = asyncio.Event()
        self._whole = Whole(self.state)
        self._crew = Crew(self.state, self._told, self._grace_left)
        if not self._record.allocated:
            self._record.allocated = room.asked(pod)
        self.judge: Callable[[], Awaitable[None]] | None = None
        """What decides, before it runs, whether the node takes it after all, and calls `reject` if not."""
        self._notice()

    def update(self, pod: Obj) -> None:
        """The pod as the API has it now."""
        self._record.pod = pod
        self.state.volumes.update(pod)
        self._crew.update(pod)
        self._updated.set()
        self._writer.look(pod)
        self.state.hear()
        self._notice()
        self._changed()

    def grant(self) -> None:
        """The node gives the pod the resources that it asks for now. To be followed by `state.note`."""
        record = self._record
        record.allocated, record.pending = room.asked(record.pod), None
        record.progress = Resize(record.pod["metadata"].get("generation") or 0)
        self.state.event("Normal", "ResizeStarted", resizing.summary(record.pod, "started"))
        self._crew.update(record.pod)
        self._whole.update()
        self._changed()

    def put_off(self, pending: Resize | None) -> None:
        """Why the node doesn't; None: the pod doesn't ask for others than it has."""
        before, self._record.pending = self._record.pending, pending
        if pending is not None and (
            before is None or (before.reason, before.generation) != (pending.reason, pending.generation)
        ):
            text = resizing.summary(self._record.pod, pending.reason, pending.message)
            self.state.event("Warning", f"Resize{pending.reason}", text)
        if pending != before:
            self._changed()

    def reject(self, refusal: Refusal) -> None:
        """The node doesn't take the pod. To be said before `run`."""
        record = self._record
        record.phase, record.rejected = "Failed", True
        record.reason, record.message = refusal.reason, f"Pod was rejected: {refusal.message}"
        self.state.event("Warning", refusal.reason, refusal.message)
        self._changed()

    @property
    def counts(self) -> bool:
        """Whether the pod is there for the API, and may still need what it holds of the node."""
        return not (self._vanished.is_set() or self._record.phase or spec.is_finished(self._record.pod))

    @property
    def ending(self) -> bool:
        """Whether somebody has told it to end."""
        return self._told.is_set()

    async def end(self, end: End) -> None:
        """The node can't keep the pod: let it end and fail, also if the agent is killed meanwhile."""
        if self._record.end is None and self.counts:
            self._record.end = end
            self._record.reason, self._record.message = end.reason, end.message
            await self.state.note()
        self._notice()

    async def gone(self) -> None:
        """Wait until nothing runs any more, and its volumes are gone."""
        await self._torn_down.wait()

    async def told(self) -> None:
        """Wait until the API knows of its end."""
        await self._torn_down.wait()
        await self._writer.flushed()

    def show_by(self, mirror: Obj) -> None:
        """Of a static pod: write its status to this pod of the API."""
        self._writer.retarget(mirror["metadata"])
        self._writer.look(mirror)

    def end_static(self) -> None:
        """Its manifest is gone: end it within its grace period, and leave nothing of it."""
        pod = self._record.pod
        if not spec.is_deleted(pod):
            seconds = spec.grace_period(pod)
            gone = {"deletionTimestamp": grace.in_seconds(seconds), "deletionGracePeriodSeconds": seconds}
            self.update({**pod, "metadata": {**pod["metadata"], **gone}})

    def vanish(self) -> None:
        """The pod is gone from the API: end it, and leave nothing of it."""
        self._writer.forget()
        self._vanished.set()
        self._told.set()
        self._crew.stop()

    async def run(self) -> None:
        """The pod's life. Returns when nothing is left of it; cancelling this leaves its containers alone."""
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._writer.run())
            if self.judge is not None:
                await self.judge()
                self.judge = None
            if not self._record.phase and spec.is_finished(self._record.pod):
                # It came to its end on this node, but what the agent knew of it is lost.
                self._record.phase = self._record.pod["status"]["phase"]
            if not self._record.phase:
                await self._live(group)
                self._record.phase = self._said_phase() or status.final_phase(self._record.pod, self._record)
            self.state.view.ended = True
            await uninterrupted(self._tear_down())
            self._torn_down.set()
            await self.state.save()
            await self._leave()
            writer.cancel()

    def _notice(self) -> None:
        if spec.is_deleted(self._record.pod) or self._record.end is not None or self._said_phase():
            self._told.set()
            self._crew.stop()

    def _said_phase(self) -> str:
        """The phase in which somebody else says that it has come to its end: then it has, as upstream's."""
        pod = self._record.pod
        return str(pod["status"]["phase"]) if spec.is_finished(pod) and not self._record.phase else ""

    def _changed(self) -> None:
        record, view = self._record, self.state.view
        if record.phase and not record.started_at and not record.rejected:
            return  # it ended before we knew of it: the API knows more than we
        if record.progress is not None and not resizing.under_way(record):
            record.progress = None
            self.state.event("Normal", "ResizeCompleted", resizing.summary(record.pod, "completed"))
        computed = status.compute(record, view)
        view.conditions = {each["type"]: each for each in computed["conditions"]}
        self._writer.set(computed, passing=status.is_passing(record, view))

    # Living

    async def _live(self, group: asyncio.TaskGroup) -> None:
        """Run the pod's containers until they have ended for good."""
        record = self._record
        if not record.started_at:
            record.started_at = now()
            for message in self._unsupported():
                self.state.event("Warning", "Unsupported", message)
            for message in files.beyond_limits(record.pod, self.state.context.dns):
                self.state.event("Warning", "DNSConfigForming", message)
        deadline = group.create_task(self._watch_deadline())
        try:
            if record.sandbox and not await asyncio.to_thread(self.state.sandbox.exists, record.pod):
                await beginning_anew.after_reboot(self.state)
            while await self._prepare():
                self.state.context.links.on_loss(self.uid, self.lose_sandbox)
                await self._run_all()
                never = record.pod["spec"].get("restartPolicy") == "Never"
                if not self._crew.dismissed or self._told.is_set() or never:
                    return
                await beginning_anew.after_loss(self.state)
                self._crew.recall()
        finally:
            deadline.cancel()

    def _unsupported(self) -> list[str]:
        context = self.state.context
        return unsupported.without_effect(
            self._record.pod,
            context.capabilities,
            limits=context.runtime.limits,
            host_ips=context.host_ips,
        )

    async def _run_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self.state.volumes.keep_current())
            say = partial(self.state.event, "Warning", "VolumeUnmounted")
            keeping_mounted = group.create_task(self.state.volumes.keep_mounted(say))
            holding = group.create_task(self._watch_sandbox())
            whole = group.create_task(self._whole.run())
            await self._crew.run()
            keeping.cancel()
            keeping_mounted.cancel()
            holding.cancel()
            whole.cancel()

    async def _watch_sandbox(self) -> None:
        await self.state.sandbox.lost(self._record)
        self.lose_sandbox()

    def lose_sandbox(self) -> None:
        """Somebody has removed a part of it: the containers end, and start again with another sandbox."""
        if self._crew.dismissed:
            return
        message = "Pod sandbox changed, it will be killed and re-created."
        self.state.event("Normal", "SandboxChanged", message)
        self._crew.dismiss()

    async def _prepare(self) -> bool:
        """Make the sandbox and the volumes, again and again until it works. False if told to stop."""
        backoff = Backoff(0.2, 30.0)
        # An agent that starts finds its running pods prepared; it must not need the API for them.
        if self._record.sandbox and any(c.current is not None for c in self._record.containers.values()):
            self.state.volumes.update(self._record.pod)
            self._changed()
            return True
        while not self._told.is_set():
            self._changed()
            async with asyncio.TaskGroup() as group:
                sandbox = group.create_task(self._make_sandbox())
                volumes = group.create_task(_problem(self.state.volumes.prepare(self._record.pod)))
            problem = sandbox.result() or volumes.result()
            if problem is None:
                addresses = map(ip_address, self._record.ips)
                await policy_guard.admitted(addresses, self._writer.flushed())
                return not self._told.is_set()
            reason = "FailedMount" if isinstance(problem, VolumeError) else "FailedCreatePodSandBox"
            message = str(problem) if reason == "FailedMount" else f"Failed to create pod sandbox: {problem}"
            self.state.event("Warning", reason, message)
            await comes(self._told, backoff.next())
        return False

    async def _make_sandbox(self) -> Exception | None:
        if self._record.sandbox:
            return None
        try:
            if why := await runtime_class.problem(self.state.context.client, self._record.pod):
                return SandboxError(why)
        except (ApiError, ConnectionLost) as error:
            return error
        problem = await uninterrupted(_problem(self.state.sandbox.create(self._record)))
        self._changed()
        return problem

    def _grace_left(self) -> float:
        """Seconds until the pod's containers have to be gone."""
        if self._vanished.is_set():
            return _FORCED_GRACE
        return grace.left(self._record.pod, self._record.end)

    async def _watch_deadline(self) -> None:
        """Fail the pod once it has been active for longer than activeDeadlineSeconds, now or once set."""
        while True:
            self._updated.clear()
            seconds = self._record.pod["spec"].get("activeDeadlineSeconds")
            active = (parse_time(now()) - parse_time(self._record.started_at)).total_seconds()
            if not await comes(self._updated, None if seconds is None else max(float(seconds) - active, 0)):
                break
        self._record.reason = "DeadlineExceeded"
        self._record.message = "Pod was active on the node longer than the specified deadline"
        self.state.event("Normal", "DeadlineExceeded", self._record.message)
        self._told.set()
        self._crew.stop()

    # Leaving

    async def _tear_down(self) -> None:
        record, runtime = self._record, self.state.context.runtime
        for name, each in record.containers.items():
            if each.current is not None:
                await runtime.delete(each.current.id, self.state.bundle(name, each.current.number))
        await runtime.forget_pod(self.uid)
        await self.state.sandbox.remove(record)
        await self.state.volumes.remove()

    async def _leave(self) -> None:
        """Keep the logs until the pod's object goes, which we bring about if it was deleted."""
        backoff = Backoff(0.1, 10.0)
        while not self._vanished.is_set():
            if not spec.is_deleted(self._record.pod):
                self._told.clear()
                await self._told.wait()
                continue
            await self._unless_vanished(self._writer.flushed())
            if await self._delete():
                await self._vanished.wait()
            else:
                await self._unless_vanished(asyncio.sleep(backoff.next()))
        try:
            await asyncio.to_thread(trees.remove, self.state.directory)
        except OSError as error:
            _log.warning("removing %s: %s", self.state.directory, error)

    async def _delete(self) -> bool:
        """Let the API forget the pod. False if that has to be tried again."""
        metadata = self._record.pod["metadata"]
        if manifests.is_static(self._record.pod):  # the API never had it; its mirror goes when it has gone
            self._vanished.set()
            return True
        try:
            await self.state.context.client.delete(
                PODS, metadata["name"], metadata["namespace"], grace_period=0, uid=self.uid
            )
        except (NotFound, Conflict):
            return True
        except (ApiError, ConnectionLost) as error:
            _log.warning("deleting pod %s: %s", metadata["name"], error)
            return False
        return True

    async def _unless_vanished(self, work: Coroutine[Any, Any, Any]) -> None:
        await first_of(work, self._vanished.wait())


async def _problem(work: Coroutine[Any, Any, None]) -> Exception | None:
    """Do the work; what it may well raise as a value."""
    try:
        await work
    except (SandboxError, VolumeError) as error:
        return error
    return None
