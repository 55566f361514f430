"""ComponentStatuses: whether the control plane's parts are well, asked when somebody wants to know.

Deprecated upstream since v1.19, and served still.
"""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import NAME, Cell, Column, Printer
from wellhead.api.resource import Resource

COMPONENTSTATUSES = Resource(
    "",
    "v1",
    "ComponentStatus",
    "componentstatuses",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    measured=True,
    deprecation="v1 ComponentStatus is deprecated in v1.19+",
)


def component_status(name: str, message: str, error: str = "") -> Obj:
    """Healthy unless there is an error."""
    healthy = {"type": "Healthy", "status": "False" if error else "True"}
    if message:
        healthy["message"] = message
    if error:
        healthy["error"] = error
    return {
        "kind": COMPONENTSTATUSES.kind,
        "apiVersion": COMPONENTSTATUSES.api_version,
        "metadata": {"name": name, "creationTimestamp": None},
        "conditions": [healthy],
    }


def _cells(component: Obj, now: datetime) -> list[Cell]:
    conditions = component.get("conditions") or ()
    found: Obj = next((each for each in conditions if each["type"] == "Healthy"), {})
    status = {"True": "Healthy", "False": "Unhealthy"}.get(found.get("status", ""), "Unknown")
    return [cells.name(component), status, found.get("message", ""), found.get("error", "")]


KIND = Kind(
    COMPONENTSTATUSES, printer=Printer((NAME, Column("Status"), Column("Message"), Column("Error")), _cells)
)
