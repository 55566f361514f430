"""The node's pods: a worker for each that the API has here, and for each that an earlier agent left here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wellhead.api.errors import ApiError
from wellhead.api.kinds.pod.references import is_mirror
from wellhead.api.meta import Key, Obj, key
from wellhead.api.resources import NODES
from wellhead.backoff import Backoff
from wellhead.client.informer import Informer
from wellhead.client.rest import ConnectionLost
from wellhead.linux import mount_news, trees
from wellhead.node.pods import admission, names, record, room, spec
from wellhead.node.pods.admission import Node, Refusal
from wellhead.node.pods.allocation import Allocations
from wellhead.node.pods.context import Context
from wellhead.node.pods.sandbox import pod_end, pod_link
from wellhead.node.pods.state import PodState
from wellhead.node.pods.worker import PodWorker
from wellhead.node.static import manifests
from wellhead.waiting import first_error

_log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.1


class PodManager:
    """Workers by pod UID. `run` until cancelled, which leaves every container running."""

    def __init__(self, context: Context, pods: Informer, node: Callable[[], Node]) -> None:
        """`node` tells what is known of the node now."""
        self._context = context
        self._pods = pods
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._group: asyncio.TaskGroup | None = None
        self._looking = False
        self._static: dict[str, Obj] = {}
        self._mirrors: dict[Key, Obj] = {}
        self._allocations = Allocations(node().allocatable, self._granted, self._soon)
        self.gates: list[Callable[[Obj], Refusal | None]] = []
        """Who may also refuse a pod that was given to the node."""
        self.arrived: list[Callable[[PodWorker], None]] = []
        """Who wants to know of each pod that begins here."""

    async def recover(self) -> None:
        """Take over what an earlier agent left, before anything new is made: addresses, rules, containers.

        Runs no pod yet. Half-made containers and directories without a record are removed.
        """
        records = await asyncio.to_thread(record.load_all, self._context.pods)
        known = set()
        for uid, one in records.items():
            if one.holds_ips:
                self._context.addresses.take([ip_address(each) for each in one.ips])
                self._take_over(one)
            if one.first_id:
                self._context.users.take(one.first_id)
            known |= {each.current.id for each in one.containers.values() if each.current is not None}
            known.add(one.holder)
            self._workers[uid] = PodWorker(self._context, one.pod, one)
        await self._context.runtime.sweep(known)
        for path in await asyncio.to_thread(lambda: list(self._context.pods.iterdir())):
            if path.name not in records:
                _log.info("removing %s, which has no record", path)
                await self._remove_stray(path)

    def _take_over(self, one: record.PodRecord) -> None:
        """What the network knows of a pod that is there already."""
        uid = one.pod["metadata"]["uid"]
        try:
            self._context.rules.restore(uid, pod_end(self._context, one))
            if one.sandbox:
                self._context.links.restore(pod_link(self._context, one))
        except KeyError:
            _log.warning("pod %s has an address of a family that is no more", spec.described(one.pod))

    async def _remove_stray(self, directory: Path) -> None:
        await self._context.links.disconnect(directory.name)
        try:
            await asyncio.to_thread(trees.remove, directory)
        except OSError as error:
            _log.warning("removing %s: %s", directory, error)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            for worker in self._workers.values():
                self._start(worker)
            self._pods.on_change(self._changed)
            await self._pods.synced()
            present = {pod["metadata"]["uid"] for pod in self._pods}
            for uid, worker in self._workers.items():
                if uid not in present and not manifests.is_static(worker.state.pod):
                    worker.vanish()
            with mount_news.watch(lambda: self._look_at_mounts_soon(group)):
                await asyncio.Event().wait()

    def _look_at_mounts_soon(self, group: asyncio.TaskGroup) -> None:
        """A pod's start makes several mounts: look once for all of them."""
        if not self._looking:
            self._looking = True
            group.create_task(self._look_at_mounts(), name="mounts")

    async def _look_at_mounts(self) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        self._looking = False
        for worker in list(self._workers.values()):
            state = worker.state
            whole = await asyncio.to_thread(state.sandbox.is_whole, state.pod)
            if state.record.sandbox and not whole:  # one that is being taken down says so first
                worker.lose_sandbox()
            elif state.record.sandbox:
                state.volumes.look_at_mounts()

    def find(self, namespace: str, name: str) -> PodState | None:
        """The state of the pod that has this name now."""
        pod = self._pods.get(name, namespace)
        uids = [pod["metadata"]["uid"]] if pod is not None else []
        # While the API is away, the record knows the pod as well.
        uids += [
            uid
            for uid, worker in self._workers.items()
            if (worker.state.pod["metadata"]["namespace"], worker.state.pod["metadata"]["name"])
            == (namespace, name)
        ]
        return next((self._workers[uid].state for uid in uids if uid in self._workers), None)

    def workers(self) -> list[PodWorker]:
        """Those of all pods."""
        return list(self._workers.values())

    def states(self) -> list[PodState]:
        """All pods."""
        return [worker.state for worker in self._workers.values()]

    def set_static(self, pods: list[Obj]) -> None:
        """Let exactly these run that the API doesn't have."""
        self._static = {pod["metadata"]["uid"]: pod for pod in pods}
        for uid, worker in self._workers.items():
            if manifests.is_static(worker.state.pod) and uid not in self._static:
                worker.end_static()
        self._start_static()

    def has_static(self, name: Key) -> bool:
        """Whether such a pod of this name is here, or on its way out."""
        return any(
            manifests.is_static(worker.state.pod) and key(worker.state.pod) == name
            for worker in self._workers.values()
        )

    def set_mirror(self, mirror: Obj) -> None:
        """Tell a static pod's state by this pod of the API."""
        self._mirrors[key(mirror)] = mirror
        for worker in self._workers.values():
            if manifests.is_static(worker.state.pod) and manifests.is_mirror_of(mirror, worker.state.pod):
                worker.show_by(mirror)

    def _start_static(self) -> None:
        """Start those that aren't there; another one of a name waits until the earlier has ended."""
        for uid, pod in self._static.items():
            if uid not in self._workers and not self.has_static(key(pod)) and self._group is not None:
                worker = self._admit(pod)
                mirror = self._mirrors.get(key(pod))
                if mirror is not None and manifests.is_mirror_of(mirror, pod):
                    worker.show_by(mirror)
                self._start(worker)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if is_mirror(new or old or {}):
            return  # it only shows what is here
        if new is None:
            assert old is not None
            if worker := self._workers.get(old["metadata"]["uid"]):
                worker.vanish()
                self._allocations.forget(worker)
            return
        uid = new["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(new)
            self._allocations.changed(self._workers[uid])
            return
        if problem := names.refusal(new):
            _log.error("pod %r is not run: %s", new["metadata"]["name"], problem)
            self._context.recorder.event(new, "Warning", "FailedValidation", problem)
            return
        worker = self._admit(new)
        for tell in self.arrived:
            tell(worker)
        self._start(worker)

    def _admit(self, pod: Obj) -> PodWorker:
        """A worker for the pod, which it rejects if the node doesn't take it."""
        worker = PodWorker(self._context, pod)
        if not spec.is_finished(pod):
            refused = self._refusal(pod, self._node())
            if refused is not None and refused.by_labels:
                worker.judge = lambda: self._look_again(worker)
            elif refused is not None:
                self._reject(worker, refused)
        self._workers[worker.uid] = worker
        return worker

    def _refusal(self, pod: Obj, node: Node) -> Refusal | None:
        for gate in self.gates:
            if refused := gate(pod):
                return refused
        others = self._granted(pod["metadata"]["uid"])
        return admission.refusal(pod, others, node, static=manifests.is_static(pod))

    def _granted(self, besides: str) -> list[Obj]:
        """The pods that the node has taken, but for one, with what it has granted them."""
        return [
            room.granted(each.state.pod, each.state.record.allocated)
            for uid, each in self._workers.items()
            if each.counts and uid != besides
        ]

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None
        self._group.create_task(work)

    def _reject(self, worker: PodWorker, refused: Refusal) -> None:
        _log.warning("pod %s: %s", spec.described(worker.state.pod), refused.message)
        self._context.runtime.operations.refused(refused.reason)
        worker.reject(refused)

    async def _look_again(self, worker: PodWorker) -> None:
        """Whether the node refuses the pod by what the API says of it now, not when it was last heard of."""
        backoff = Backoff(0.2, 10.0)
        while worker.counts:
            try:
                found = await self._context.client.get(NODES, self._context.node_name)
            except (ApiError, ConnectionLost) as error:
                _log.warning("node %s: %s", self._context.node_name, error)
                await asyncio.sleep(backoff.next())
                continue
            refused = self._refusal(worker.state.pod, replace(self._node(), obj=found))
            if refused is not None and worker.counts:
                self._reject(worker, refused)
            return

    def _start(self, worker: PodWorker) -> None:
        assert self._group is not None
        self._group.create_task(self._keep(worker), name=f"pod {worker.uid}")

    async def _keep(self, worker: PodWorker) -> None:
        """Run a worker to its end. A defect in one pod must not take the others with it."""
        backoff, time = Backoff(1.0, 300.0), asyncio.get_running_loop().time
        while True:
            began = time()
            try:
                await worker.run()
            except Exception as error:
                _log.exception("pod %s", spec.described(worker.state.pod))
                worker.state.event(
                    "Warning", "FailedSync", f"error syncing pod, will try again: {first_error(error)}"
                )
                await asyncio.sleep(backoff.next(worked=time() - began))
                worker = self._again(worker)
            else:
                break
        del self._workers[worker.uid]
        self._allocations.forget(worker)
        self._start_static()

    def _again(self, worker: PodWorker) -> PodWorker:
        pod = worker.state.pod
        fresh = PodWorker(self._context, pod, worker.state.record)
        self._workers[worker.uid] = fresh
        present = self._pods.get(pod["metadata"]["name"], pod["metadata"]["namespace"])
        if present is None or present["metadata"]["uid"] != worker.uid:
            fresh.vanish()
        return fresh
