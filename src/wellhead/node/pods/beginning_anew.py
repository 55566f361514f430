"""What is noted of a pod's containers when its sandbox is gone, and another one is to be made."""

from __future__ import annotations

import logging

from wellhead.api.meta import now
from wellhead.node.pods import spec
from wellhead.node.pods.record import Attempt, PodRecord
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.commands import uninterrupted

_log = logging.getLogger(__name__)

_REBOOTED = 255  # the exit code of a container that a reboot ended


async def after_reboot(state: PodState) -> None:
    """The namespaces are gone, and all containers with them: begin anew, restarts counted."""
    record = state.record
    _log.info("pod %s was ended by a reboot of its machine", spec.described(record.pod))
    for name, each in record.containers.items():
        if each.current is not None and not each.current.finished_at:
            _end_unseen(each.current)
            await state.context.runtime.delete(each.current.id, state.bundle(name, each.current.number))
    _forget_init_containers(record)
    record.sandbox = False
    await state.save()


async def after_loss(state: PodState) -> None:
    """Let go of a sandbox of which a part is gone, and of what ran there."""
    for name, each in state.record.containers.items():
        if each.current is not None:
            await state.context.runtime.delete(each.current.id, state.bundle(name, each.current.number))
        each.delay = 0.0  # it is not the container that has failed
    _forget_init_containers(state.record)
    await uninterrupted(state.sandbox.remove(state.record))
    await state.save()


def _forget_init_containers(record: PodRecord) -> None:
    """Have them run again."""
    for container in spec.init_containers(record.pod):
        mine = record.of(container["name"])
        if mine.current is not None and not spec.is_sidecar(container):
            mine.last, mine.current = mine.current, None


def _end_unseen(attempt: Attempt) -> None:
    attempt.exit_code, attempt.reason = _REBOOTED, "Unknown"
    attempt.finished_at = now()
    attempt.started_at = attempt.started_at or attempt.finished_at
    attempt.launched, attempt.ready, attempt.lost = True, False, True
