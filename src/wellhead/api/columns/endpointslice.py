"""EndpointSlices."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import created, first_few, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer

_UNSET = "<unset>"


def _cells(endpointslice: Obj, now: datetime) -> list[Cell]:
    ports = [str(port.get("port", "*")) for port in endpointslice.get("ports") or ()]
    endpoints = [
        address for entry in endpointslice.get("endpoints") or () for address in entry.get("addresses") or ()
    ]
    return [
        name(endpointslice),
        endpointslice.get("addressType", ""),
        first_few(ports) or _UNSET,
        first_few(endpoints) or _UNSET,
        created(endpointslice, now),
    ]


PRINTER = Printer((NAME, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE), _cells)
