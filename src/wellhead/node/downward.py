"""What a container may know about its own pod: fieldRef and resourceFieldRef.

Source: Kubernetes' "Downward API" and pkg/fieldpath, pkg/api/v1/resource of v1.37.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


class FieldError(ValueError):
    """A reference to a field that doesn't exist or can't be used."""


def field(pod: Obj, path: str) -> str:
    """The value of a fieldRef. Raises FieldError for a path that Kubernetes doesn't support."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if match := _SUBSCRIPT.match(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f"{name}={_quoted(value)}" for name, value in sorted(values.items()))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": ",".join(each["ip"] for each in status.get("hostIPs") or ()),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(each["ip"] for each in status.get("podIPs") or ()),
    }
    if path not in simple:
        raise FieldError(f"unsupported fieldPath: {path}")
    return str(simple[path])


def resource(pod: Obj, container: Obj, reference: Obj, allocatable: Mapping[str, str]) -> str:
    """The value of a resourceFieldRef: a container's limit or request, in units of the divisor, rounded up.

    A limit that isn't set is that of the pod as a whole, else what the node can give (`allocatable`). Raises
    FieldError.
    """
    name = str(reference["resource"])
    kind, _, resource_name = name.partition(".")
    if kind not in ("limits", "requests") or not resource_name:
        raise FieldError(f"unsupported container resource: {name}")
    resources = container.get("resources") or {}
    value = (resources.get(kind) or {}).get(resource_name)
    if value is None and kind == "requests":
        value = (resources.get("limits") or {}).get(resource_name, "0")
    if value is None and resource_name in ("cpu", "memory"):
        value = ((pod["spec"].get("resources") or {}).get("limits") or {}).get(resource_name)
    if value is None:
        value = allocatable.get(resource_name, "0")
    try:
        divisor = Quantity.parse(str(reference.get("divisor") or "0")).nanos or Quantity.parse("1").nanos
        return str(-(-Quantity.parse(str(value)).nanos // divisor))
    except ValueError as error:
        raise FieldError(str(error)) from None


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
