"""The columns in which `kubectl get` shows a kind, and the cells of one object.

Upstream: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from wellhead.api.ages import age
from wellhead.api.meta import Obj

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column; a `wide` one is shown by `-o wide` only."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    wide: bool = False
    description: str = ""
    format: str = ""
    priority: int | None = None
    """As a custom kind's column has it; 0 is shown always."""

    def definition(self) -> Obj:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format or ("name" if self.name == "Name" else ""),
            "description": self.description,
            "priority": int(self.wide) if self.priority is None else self.priority,
        }


@dataclass(frozen=True)
class Printer:
    """The columns of a kind, and the cells of one object."""

    columns: tuple[Column, ...]
    cells: Callable[[Obj, datetime], list[Cell]]
    """Takes the object and the time; gives as many cells as there are columns."""


NAME = Column("Name", description="Name must be unique within a namespace.")
AGE = Column("Age", description="The time since the object was created.")

DEFAULT = Printer(
    (NAME, AGE),
    lambda obj, now: [obj["metadata"]["name"], age(obj["metadata"].get("creationTimestamp"), now)],
)

SCALE = Printer(
    (
        NAME,
        Column("Desired", "integer", description="How many replicas are wanted."),
        Column("Available", "integer", description="How many replicas there are."),
        AGE,
    ),
    lambda obj, now: [
        obj["metadata"]["name"],
        obj["spec"].get("replicas", 0),
        obj["status"].get("replicas", 0),
        age(obj["metadata"].get("creationTimestamp"), now),
    ],
)
