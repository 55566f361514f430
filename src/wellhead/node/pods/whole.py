"""What the containers of a pod have in all, kept in the pod's cgroup: KEP-2837.

Source: pkg/kubelet/cm/helpers_linux.go (ResourceConfigForPod) of v1.36.
"""

from __future__ import annotations

import asyncio

from wellhead.backoff import Backoff
from wellhead.node.pods import resizing, room, spec
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.cgroups import Limits
from wellhead.waiting import comes

_AGAIN = 2.0  # seconds after a failure: memory in use can be too much


class Whole:
    """That of one pod. `run` until cancelled."""

    def __init__(self, state: PodState) -> None:
        self._state = state
        self._granted = asyncio.Event()

    def update(self) -> None:
        """The node has granted the pod other resources."""
        self._granted.set()

    async def run(self) -> None:
        record, retries = self._state.record, Backoff(_AGAIN, 60.0)
        while True:
            self._granted.clear()
            wanted, retry = room.together(self._state.granted_pod), None
            if record.whole != wanted:
                try:
                    await self._apply()
                except OSError as error:
                    retry = retries.next()
                    text = f"The pod can't be resized: {error.strerror or error}"
                    if resizing.fail(record, text):
                        summary = resizing.summary(record.pod, "error", text)
                        self._state.event("Warning", "ResizeError", summary)
                else:
                    record.whole = wanted
                    retries.reset()
                await self._state.note()
            await comes(self._granted, retry)

    async def _apply(self) -> None:
        """To containers' cgroups, whose own limits may be the pod's; and to the pod's. Raises OSError.

        In this order: version 1 never lets a container have more than its pod.
        """
        state, runtime = self._state, self._state.context.runtime
        for container in (*spec.init_containers(state.pod), *spec.containers(state.pod)):
            attempt = state.record.of(container["name"]).current
            if attempt is not None and attempt.running:
                limits = Limits.of(state.effective(state.granted(container))) or Limits()
                await runtime.resize(attempt.id, limits)
        if (pod := state.in_all) is not None:
            await runtime.resize_pod(pod)
