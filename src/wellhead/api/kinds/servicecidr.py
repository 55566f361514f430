"""ServiceCIDRs: the networks that ClusterIPs come from (KEP-1880).

Upstream: ValidateServiceCIDR… in pkg/apis/networking/validation, isReady in
pkg/registry/core/service/ipallocator/cidrallocator.go.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import at_most_one_of_each_family, canonical_cidr
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj, condition, is_deleting
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Strategy
from wellhead.api.well_known import SERVICECIDRS

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
DEFAULT_NAME = "kubernetes"
"""The one that the API server makes of its flag."""

_AT = "spec.cidrs"
_FIXED = "field is immutable"


def cidrs_of(servicecidr: Obj) -> list[str]:
    """spec.cidrs."""
    return list((servicecidr.get("spec") or {}).get("cidrs") or ())


def is_ready(servicecidr: Obj) -> bool:
    """Whether ClusterIPs may be taken from it. Without a condition they may: perhaps no controller runs."""
    ready = condition(servicecidr, "Ready")
    return not is_deleting(servicecidr) and (ready is None or ready.get("status") == "True")


class ServiceCIDRStrategy(Strategy):
    status_metadata = frozenset()

    def validate(self, obj: Obj) -> list[Cause]:
        cidrs = cidrs_of(obj)
        if not cidrs:
            return [Cause.required(_AT, "at least one CIDR required")]
        if len(cidrs) > 2:
            return [Cause.invalid(_AT, obj["spec"], "may only hold up to 2 values")]
        if not at_most_one_of_each_family(cidrs):
            text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            return [Cause.invalid(_AT, obj["spec"], text)]
        return [
            Cause.invalid(f"{_AT}[{index}]", text, problem)
            for index, text in enumerate(cidrs)
            for problem in canonical_cidr(text)
        ]

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        """The networks stay, but a single-stack one may become dual-stack."""
        cidrs, before = cidrs_of(new), cidrs_of(old)
        grows = (len(before), len(cidrs)) == (1, 2)
        if len(cidrs) != len(before) and not grows:
            return [Cause.invalid(_AT, cidrs, _FIXED)]
        causes = [
            Cause.invalid(f"{_AT}[{index}]", now, _FIXED)
            for index, (now, then) in enumerate(zip(cidrs, before, strict=False))
            if now != then
        ]
        return causes + self.validate(new) if grows else causes


def _cells(servicecidr: Obj, now: datetime) -> list[Cell]:
    return [cells.name(servicecidr), ",".join(servicecidr["spec"]["cidrs"]), cells.created(servicecidr, now)]


_PRINTER = Printer((NAME, Column("CIDRs"), AGE), _cells)

KIND = Kind(SERVICECIDRS, ServiceCIDRStrategy(), _PRINTER)
