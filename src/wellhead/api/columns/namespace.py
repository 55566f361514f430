"""Namespaces."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(namespace: Obj, now: datetime) -> list[Cell]:
    return [name(namespace), (namespace.get("status") or {}).get("phase", ""), created(namespace, now)]


PRINTER = Printer((NAME, Column("Status"), AGE), _cells)
