"""What every API object has: identity, owners, times."""

import random
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeAlias

from wellhead.api.types.shared import OwnerReference

Obj: TypeAlias = dict[str, Any]
"""An API object (or a part of one) as decoded from JSON."""

AnyObj: TypeAlias = Mapping[str, Any]
"""The same, to be read only: a typed view (`api.types`) is one."""

Key: TypeAlias = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is ''."""


class GroupVersionKind(NamedTuple):
    """A kind's full name. The core group is ''."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, obj: AnyObj) -> Self:
        """The kind that the object's apiVersion and kind name ('' where they are missing)."""
        group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
        return cls(group, version, str(obj.get("kind") or ""))

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


def key(obj: AnyObj) -> Key:
    """(namespace, name) of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def now() -> str:
    """The time as metav1.Time writes it: RFC 3339, UTC, whole seconds."""
    return _written(int(time.time()))


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def now_micro() -> str:
    """The time as metav1.MicroTime writes it (leases, event times): RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_time(time: datetime) -> str:
    """An aware datetime as metav1.Time writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(time: datetime) -> str:
    """An aware datetime as metav1.MicroTime writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as an aware datetime. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return time


def new_uid() -> str:
    """A fresh metadata.uid, a random UUID (RFC 9562, version 4).

    It is no secret, so it need not cost a system call, as `uuid.uuid4` does.
    """
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def labels(obj: AnyObj) -> dict[str, str]:
    """metadata.labels; an empty dict if there are none."""
    return obj["metadata"].get("labels") or {}


def annotations(obj: AnyObj) -> dict[str, str]:
    """metadata.annotations; an empty dict if there are none."""
    return obj["metadata"].get("annotations") or {}


def owner_references(obj: AnyObj) -> list[OwnerReference]:
    """metadata.ownerReferences; an empty list if there are none."""
    return obj["metadata"].get("ownerReferences") or []


def owner_reference(owner: AnyObj) -> OwnerReference:
    """A reference to `owner` (a whole object, with apiVersion and kind) for an object that it controls.

    It also blocks the owner's foreground deletion, as every upstream controller's does.
    """
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: AnyObj) -> OwnerReference | None:
    """The owner reference of the object's controller, if it has one."""
    return next((ref for ref in owner_references(obj) if ref.get("controller")), None)


def is_controlled_by(obj: AnyObj, owner: AnyObj) -> bool:
    """Whether `owner` (by uid) is the object's controller."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def is_deleting(obj: AnyObj) -> bool:
    """Whether deletion was asked for and something (finalizers, a grace period) still holds the object."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def condition(obj: AnyObj, type: str) -> Obj | None:
    """The status condition of that type, if it is there."""
    conditions: Iterable[Obj] = (obj.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == type), None)


def is_condition_true(obj: AnyObj, type: str) -> bool:
    entry = condition(obj, type)
    return entry is not None and entry.get("status") == "True"
