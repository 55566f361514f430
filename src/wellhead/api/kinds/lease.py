"""Leases."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.meta import Obj
from wellhead.api.strategy import Strategy


class LeaseStrategy(Strategy):
    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes = []
        seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if seconds is not None and seconds <= 0:
            causes.append(Cause.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            text = "must be greater than or equal to 0"
            causes.append(Cause.invalid("spec.leaseTransitions", transitions, text))
        return causes


STRATEGIES = {"coordination.k8s.io": LeaseStrategy()}
