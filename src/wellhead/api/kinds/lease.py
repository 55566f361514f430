"""Leases."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import qualified_name
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Strategy
from wellhead.api.well_known import LEASES

_STRATEGIES = ("OldestEmulationVersion",)


class LeaseStrategy(Strategy):
    needs_version = True
    created_by_update = True

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes = []
        seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if seconds is not None and seconds <= 0:
            causes.append(Cause.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        if transitions is not None and transitions < 0:
            text = "must be greater than or equal to 0"
            causes.append(Cause.invalid("spec.leaseTransitions", transitions, text))
        strategy = spec.get("strategy")
        if strategy is not None:
            causes += _validate_strategy(strategy)
        if spec.get("preferredHolder") and not strategy:
            text = "may only be specified if `strategy` is defined"
            causes.append(Cause.forbidden("spec.preferredHolder", text))
        return causes


def _validate_strategy(strategy: str) -> list[Cause]:
    """A name of Kubernetes' own, or one with somebody's domain before it."""
    at = "spec.strategy.strategy"  # upstream's path
    if "/" not in strategy:
        return one_of(at, strategy, _STRATEGIES)
    return [Cause.invalid(at, strategy, problem) for problem in qualified_name(strategy)]


def _cells(lease: Obj, now: datetime) -> list[Cell]:
    return [cells.name(lease), (lease.get("spec") or {}).get("holderIdentity", ""), cells.created(lease, now)]


_PRINTER = Printer((NAME, Column("Holder"), AGE), _cells)

KIND = Kind(LEASES, LeaseStrategy(), _PRINTER)
