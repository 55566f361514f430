"""How a container's run is ended: its hook, its turn, its signal, and SIGKILL when the time is over.

Source: "Pod Lifecycle"; killContainer in pkg/kubelet/kuberuntime/kuberuntime_container.go of v1.37.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal

from wellhead.api.meta import Obj
from wellhead.images.store import ImageNotFound
from wellhead.linux import signals
from wellhead.node.pods import hooks
from wellhead.node.pods.ending import Ending
from wellhead.node.pods.record import Attempt
from wellhead.node.pods.state import PodState
from wellhead.waiting import first_of

_PATIENCE = 2.0  # seconds that are left after a hook, or for whom waited for its turn, at the least


async def stop(state: PodState, container: Obj, attempt: Attempt, end: Ending, turn: asyncio.Event) -> None:
    """Until the container was sent SIGKILL; cancelled when it has ended before.

    Its signal waits for `turn`, but not beyond the deadline.
    """
    hook = (container.get("lifecycle") or {}).get("preStop")
    if hook and not end.abrupt:
        try:
            await end.before_deadline(hooks.run(state, container, hook))
        except hooks.HookFailed:
            state.event("Warning", "FailedPreStopHook", "PreStopHook failed")
        end.at_least(_PATIENCE)
    if not turn.is_set():
        await first_of(turn.wait(), end.deadline())
        end.at_least(_PATIENCE)
    if not end.abrupt:
        await state.context.runtime.signal(attempt.id, await _signal(state, container, attempt))
    await end.deadline()
    await state.context.runtime.signal(attempt.id, signal.SIGKILL)


async def _signal(state: PodState, container: Obj, attempt: Attempt) -> int:
    """The container's own stop signal, or its image's; SIGTERM if what they name is no signal."""
    own = str((container.get("lifecycle") or {}).get("stopSignal") or "")
    if not own:
        with contextlib.suppress(ImageNotFound):
            image = await asyncio.to_thread(state.context.images.find, attempt.image_id)
            own = image.config.stop_signal
    return signals.number(own) or signal.SIGTERM
