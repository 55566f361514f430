"""ServiceAccounts."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(account: Obj, now: datetime) -> list[Cell]:
    return [name(account), len(account.get("secrets") or ()), created(account, now)]


PRINTER = Printer((NAME, Column("Secrets"), AGE), _cells)
