"""ConfigMaps."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _cells(configmap: Obj, now: datetime) -> list[Cell]:
    count = len(configmap.get("data") or ()) + len(configmap.get("binaryData") or ())
    return [name(configmap), count, created(configmap, now)]


PRINTER = Printer((NAME, Column("Data"), AGE), _cells)
