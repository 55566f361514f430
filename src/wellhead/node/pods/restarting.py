"""What a container's status says while all containers of its pod are started anew for the exit of one.

Source: KEP-5532; pkg/kubelet/kubelet_pods.go of v1.36.
"""

from __future__ import annotations

from wellhead.node.pods.record import Attempt
from wellhead.node.pods.status import Waiting

_REASON = "RestartingAllContainers"
_MESSAGE = "The container is removed because RestartAllContainers in place"
_KILLED = 137

WAITING = Waiting(_REASON, _MESSAGE)


def mark(attempt: Attempt) -> None:
    """Let a run that has ended be one that is followed by another in any case, and at once."""
    attempt.replaced, attempt.ready = True, False
    attempt.exit_code, attempt.reason, attempt.message = _KILLED, _REASON, _MESSAGE
