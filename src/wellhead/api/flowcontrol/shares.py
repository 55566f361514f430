"""How many seats each priority level has, of those that the server has.

A seat is what a request occupies while it is worked on; a wide one occupies several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from wellhead.api.flowcontrol.bootstrap import EXEMPT
from wellhead.api.meta import Obj

_WIDEST_PART = 0.15
_WIDEST = 10


class Seats(NamedTuple):
    """Of one level."""

    nominal: int
    lower: int
    """What it keeps when others borrow."""
    upper: int
    """What it may have when others lend."""
    widest: int
    """What one request may occupy."""


def seats_of(levels: Iterable[Obj], total: int) -> dict[str, Seats]:
    """The seats of each level by name, if the server has `total`.

    They may be a few more together: fractions count as a whole (upstream: finishQueueSetReconfigsLocked).
    """
    commons = {level["metadata"]["name"]: _common(level) for level in levels}
    shares = sum(each.get("nominalConcurrencyShares") or 0 for each in commons.values())
    found = {}
    for name, common in commons.items():
        nominal = math.ceil(total * (common.get("nominalConcurrencyShares") or 0) / shares) if shares else 0
        lendable = _part(nominal, common.get("lendablePercent") or 0)
        percent = common.get("borrowingLimitPercent")
        borrowed = total if percent is None else _part(nominal, percent)
        hand = (common.get("limitResponse") or {}).get("queuing", {}).get("handSize") or 1
        widest = max(1, min(math.ceil(nominal * _WIDEST_PART), nominal // hand, _WIDEST))
        found[name] = Seats(nominal, nominal - lendable, nominal + borrowed, widest)
    return found


def is_exempt(level: Obj) -> bool:
    """Whether requests of this level never wait."""
    return bool(level["metadata"]["name"] == EXEMPT)


def _part(whole: int, percent: int) -> int:
    """Rounded as Go does: halves away from 0."""
    return (whole * percent + 50) // 100


def _common(level: Obj) -> Obj:
    spec = level["spec"]
    common: Obj = spec.get("exempt") or spec.get("limited") or {}
    return common
