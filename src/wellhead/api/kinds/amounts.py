"""Amounts of resources, by the resources' names: of containers and of nodes.

Upstream: ValidateResourceQuantityValue in pkg/apis/core/validation/validation.go, and pkg/apis/core/helper.
"""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.quantity import Quantity

# What is counted, of what isn't extended.
_COUNTED = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)


def is_native(name: str) -> bool:
    """Whether the resource is one of Kubernetes' own."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Whether the resource is somebody else's: devices, above all. They come whole."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not qualified_name(f"requests.{name}")


def validate_amount(name: str, text: str | float, at: str) -> list[Cause]:
    """The amount of one resource."""
    try:
        amount = Quantity.parse(text)
    except ValueError as error:
        return [Cause.invalid(at, text, str(error))]
    causes = []
    if amount.nanos < 0:
        causes.append(Cause.invalid(at, str(amount), "must be greater than or equal to 0"))
    if (name in _COUNTED or is_extended(name)) and amount.milli_value % 1000:
        causes.append(Cause.invalid(at, str(amount), "must be an integer"))
    return causes
