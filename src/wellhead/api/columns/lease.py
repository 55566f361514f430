"""Leases."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(lease: Obj, now: datetime) -> list[Cell]:
    return [name(lease), (lease.get("spec") or {}).get("holderIdentity", ""), created(lease, now)]


PRINTER = Printer((NAME, Column("Holder"), AGE), _cells)
