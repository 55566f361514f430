"""ServiceAccounts."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

SERVICEACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=frozenset({"token"})
)


def _cells(account: Obj, now: datetime) -> list[Cell]:
    return [cells.name(account), cells.created(account, now)]


_PRINTER = Printer((NAME, AGE), _cells)


class ServiceAccountStrategy(Strategy):
    returned_when_deleted = True


KIND = Kind(SERVICEACCOUNTS, ServiceAccountStrategy(), _PRINTER)
