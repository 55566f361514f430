"""ConfigMaps."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import config_key
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.strategy import Strategy
from wellhead.api.well_known import CONFIGMAPS

_MAX_SIZE = 1024 * 1024  # bytes
_FIXED = "field is immutable when `immutable` is set"


class ConfigMapStrategy(Strategy):
    def validate(self, obj: Obj) -> list[Cause]:
        causes: list[Cause] = []
        size = 0
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        for name, value in data.items():
            causes += [Cause.invalid(f"data[{name}]", name, problem) for problem in config_key(name)]
            if name in binary:
                text = "duplicate of key present in binaryData"
                causes.append(Cause.invalid(f"data[{name}]", name, text))
            size += len(value.encode())
        for name, value in binary.items():
            causes += [Cause.invalid(f"binaryData[{name}]", name, problem) for problem in config_key(name)]
            size += len(value) * 3 // 4
        if size > _MAX_SIZE:
            causes.append(Cause.too_long("[]", _MAX_SIZE))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return validate_immutable(new, old, "data", "binaryData") + self.validate(new)


def validate_immutable(new: Obj, old: Obj, *fields: str) -> list[Cause]:
    """What was made immutable stays so, and as it is."""
    if not old.get("immutable"):
        return []
    causes = [] if new.get("immutable") else [Cause.forbidden("immutable", _FIXED)]
    return causes + [
        Cause.forbidden(field, _FIXED) for field in fields if (new.get(field) or {}) != (old.get(field) or {})
    ]


def _cells(configmap: Obj, now: datetime) -> list[Cell]:
    count = len(configmap.get("data") or ()) + len(configmap.get("binaryData") or ())
    return [cells.name(configmap), count, cells.created(configmap, now)]


_PRINTER = Printer((NAME, Column("Data"), AGE), _cells)

KIND = Kind(CONFIGMAPS, ConfigMapStrategy(), _PRINTER)
