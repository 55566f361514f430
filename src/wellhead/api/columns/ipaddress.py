"""IPAddresses."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _parent(ip_address: Obj) -> str:
    parent = ip_address["spec"]["parentRef"]
    resource = ".".join(part for part in (parent["resource"], parent.get("group")) if part)
    return "/".join(part for part in (resource.lower(), parent.get("namespace"), parent["name"]) if part)


def _cells(ip_address: Obj, now: datetime) -> list[Cell]:
    return [name(ip_address), _parent(ip_address), created(ip_address, now)]


PRINTER = Printer((NAME, Column("ParentRef"), AGE), _cells)
