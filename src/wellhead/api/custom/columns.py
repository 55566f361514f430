"""additionalPrinterColumns: what `kubectl get` shows of custom objects (apiextensions' tableconvertor.go)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from wellhead.api.ages import age
from wellhead.api.custom.json_path import JSONPath
from wellhead.api.meta import Obj
from wellhead.api.printer import DEFAULT, NAME, Cell, Column, Printer


def printer_of(columns: Sequence[Obj]) -> Printer:
    """The columns of a version, after the name; without any, the age."""
    if not columns:
        return DEFAULT
    shown: list[tuple[Column, JSONPath]] = []
    for each in columns:
        try:
            path = JSONPath(each.get("jsonPath") or "")
        except ValueError:
            continue
        column = Column(
            each["name"],
            each["type"],
            description=each.get("description")
            or f"Custom resource definition column (in JSONPath format): {path.text}",
            format=each.get("format") or "",
            priority=each.get("priority") or 0,
        )
        shown.append((column, path))

    def cells(obj: Obj, now: datetime) -> list[Cell]:
        name: Cell = obj["metadata"]["name"]
        return [name, *(_cell(column.type, path.find(obj), now) for column, path in shown)]

    return Printer((NAME, *(column for column, _ in shown)), cells)


def _cell(type: str, found: list[Any], now: datetime) -> Cell:
    if not found or found[0] is None:
        return None
    value = found[0]
    match type:
        case "integer":
            return int(value) if _is_number(value) else None
        case "number":
            return float(value) if _is_number(value) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return _age(value, now)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _age(value: Any, now: datetime) -> str:
    if not isinstance(value, str):
        return "<invalid>"
    try:
        return age(value, now)
    except ValueError:
        return "<invalid>"
