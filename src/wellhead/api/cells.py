"""Cells that several kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from wellhead.api.ages import age
from wellhead.api.meta import Obj
from wellhead.api.selectors import LabelSelector
from wellhead.ip import bracketed

NONE = "<none>"
_FEW = 3


def name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def created(obj: Obj, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def joined(values: Sequence[str]) -> str:
    return ",".join(values) or NONE


def labels(values: Mapping[str, str] | None) -> str:
    return joined([f"{key}={value}" for key, value in sorted((values or {}).items())])


def selector(value: Obj | None) -> str:
    return str(LabelSelector.from_object(value)) or NONE


def first_few(values: Sequence[str]) -> str:
    """The first values, and how many there are beyond."""
    shown = ",".join(values[:_FEW])
    return shown if len(values) <= _FEW else f"{shown} + {len(values) - _FEW} more..."


def containers(template_spec: Obj) -> tuple[str, str]:
    """Names and images of a pod template's containers."""
    found = template_spec.get("containers") or ()
    return ",".join(c.get("name", "") for c in found), ",".join(c.get("image", "") for c in found)


def host_port(host: str, port: int) -> str:
    return f"{bracketed(host)}:{port}"
