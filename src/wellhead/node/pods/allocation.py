"""Who gets the resources that pods ask for while they run: now, when there is room, or never.

Source: KEP-1287; pkg/kubelet/allocation/allocation_manager.go of v1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from wellhead.api.meta import Obj
from wellhead.node.pods import resizing, room
from wellhead.node.pods.record import Resize
from wellhead.node.pods.worker import PodWorker

_CONDITION = "PodResizePending"


class Allocations:
    """`others` gives what the node has granted to all pods but this one; `save` keeps what was granted."""

    def __init__(
        self,
        allocatable: room.Amounts,
        others: Callable[[str], Iterable[Obj]],
        save: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._allocatable = allocatable
        self._others = others
        self._save = save
        self._waiting: dict[str, PodWorker] = {}

    def changed(self, worker: PodWorker) -> None:
        """The API has another version of a pod that the node has taken."""
        if worker.counts and resizing.asks(worker.state.record):
            self._waiting[worker.uid] = worker
        else:
            self._waiting.pop(worker.uid, None)
            worker.put_off(None)
        self.review()

    def forget(self, worker: PodWorker) -> None:
        """A pod is gone, or another one in its place."""
        self._waiting.pop(worker.uid, None)
        self.review()

    def review(self) -> None:
        """Grant what there is room for, in the order of who comes first."""
        for worker in sorted(self._waiting.values(), key=_turn):
            if not worker.counts:
                del self._waiting[worker.uid]
            elif (pending := self._pending(worker)) is None:
                del self._waiting[worker.uid]
                worker.grant()
                self._save(worker.state.note())
            else:
                worker.put_off(pending)

    def _pending(self, worker: PodWorker) -> Resize | None:
        pod = worker.state.pod
        wanted = room.granted(pod, {})
        generation = pod["metadata"].get("generation") or 0
        if problem := resizing.beyond(wanted, self._allocatable):
            return Resize(generation, "Infeasible", problem)
        if lacking := room.shortages(wanted, self._others(worker.uid), self._allocatable):
            return Resize(generation, "Deferred", str(lacking[0]))
        return None


def _turn(worker: PodWorker) -> tuple[bool, int, bool, str]:
    condition = worker.state.view.conditions.get(_CONDITION) or {}
    return resizing.turn(worker.state.record, str(condition.get("lastTransitionTime") or ""))
