"""Whether a container that has ended is started again, and after how long. Pure.

Source: "Pod Lifecycle"; pkg/kubelet/kuberuntime/kuberuntime_{manager,container}.go of v1.37.
"""

from __future__ import annotations

from wellhead.api.meta import Obj
from wellhead.node.pods import spec
from wellhead.node.pods.record import Attempt, ContainerRecord

FIRST_DELAY, LONGEST_DELAY = 10.0, 300.0  # seconds, as CrashLoopBackOff's
FORGIVEN_AFTER = 600.0
"""Seconds of running after which the delays begin anew."""


def is_wanted(current: Attempt | None, container: Obj, policy: str) -> bool:
    """Whether there is to be another run after this one, if any."""
    if current is None or current.replaced or policy == "Always":
        return True
    if not current.lost and spec.rule(container, current.exit_code) == spec.RESTART:
        return True
    return policy == "OnFailure" and current.exit_code != 0


def of_all(current: Attempt | None, container: Obj) -> bool:
    """Whether the run that has ended says that all containers shall be started anew."""
    if current is None or current.running or current.replaced or not current.launched or current.lost:
        return False
    return spec.rule(container, current.exit_code) == spec.RESTART_ALL


def delay(mine: ContainerRecord, container: Obj, since: float) -> float:
    """Seconds to wait yet, as many as `since` after the end of the last run; none for another image."""
    same = mine.current is not None and mine.current.image == container["image"]
    return max(mine.delay - since, 0.0) if same else 0.0


def longer(delay: float) -> float:
    """The delay after this one."""
    return min(max(delay * 2, FIRST_DELAY), LONGEST_DELAY)


def shown(seconds: float) -> str:
    """A delay as the kubelet tells it."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
