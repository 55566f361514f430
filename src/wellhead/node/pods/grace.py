"""How long a pod's containers still have. Pure but for the time of day."""

from __future__ import annotations

from datetime import timedelta

from wellhead.api.meta import Obj, format_time, now, parse_time
from wellhead.node.pods import spec
from wellhead.node.pods.record import End


def left(pod: Obj, end: End | None) -> float:
    """Seconds until they have to be gone; `end`: the node can't keep the pod."""
    grace = float(spec.grace_period(pod))
    if end is not None:
        grace = min(grace, max(end.grace, 1.0))
    if not spec.is_deleted(pod):
        return grace
    # deletionTimestamp is when the grace period ends; this machine's clock may be another than its.
    until = parse_time(pod["metadata"]["deletionTimestamp"])
    return min(max((until - parse_time(now())).total_seconds(), 1.0), grace)


def in_seconds(seconds: float) -> str:
    """The time so long from now."""
    return format_time(parse_time(now()) + timedelta(seconds=seconds))
