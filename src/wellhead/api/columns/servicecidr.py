"""ServiceCIDRs."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(servicecidr: Obj, now: datetime) -> list[Cell]:
    return [name(servicecidr), ",".join(servicecidr["spec"]["cidrs"]), created(servicecidr, now)]


PRINTER = Printer((NAME, Column("CIDRs"), AGE), _cells)
