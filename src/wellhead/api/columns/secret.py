"""Secrets."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(secret: Obj, now: datetime) -> list[Cell]:
    return [name(secret), secret.get("type", ""), len(secret.get("data") or ()), created(secret, now)]


PRINTER = Printer((NAME, Column("Type"), Column("Data"), AGE), _cells)
