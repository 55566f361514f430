"""Endpoints."""

from __future__ import annotations

from datetime import datetime

from wellhead.api.columns.cells import NONE, created, first_few, host_port, name
from wellhead.api.meta import Obj
from wellhead.api.tables import AGE, NAME, Cell, Column, Printer


def _endpoints(subsets: list[Obj]) -> str:
    shown: list[str] = []
    for subset in subsets:
        ips = [address["ip"] for address in subset.get("addresses") or ()]
        ports = [port["port"] for port in subset.get("ports") or ()]
        shown += [host_port(ip, port) for port in ports for ip in ips] if ports else ips
    return first_few(shown) if subsets else NONE


def _cells(endpoints: Obj, now: datetime) -> list[Cell]:
    return [name(endpoints), _endpoints(endpoints.get("subsets") or []), created(endpoints, now)]


PRINTER = Printer((NAME, Column("Endpoints"), AGE), _cells)
