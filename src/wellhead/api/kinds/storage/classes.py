"""StorageClasses.

Upstream: ValidateStorageClass… in pkg/apis/storage/validation/validation.go, pkg/apis/storage/util.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from wellhead.api import cells, meta
from wellhead.api.errors import Cause
from wellhead.api.formats import qualified_name
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy
from wellhead.api.warnings.node_labels import DEPRECATED

STORAGECLASSES = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",)
)

DEFAULT_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
_BETA_DEFAULT_ANNOTATION = "storageclass.beta.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
_RECLAIM = ("Delete", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_PARAMETERS_MAX = 512
_PARAMETERS_SIZE_MAX = 256 << 10


def is_default(storage_class: Obj) -> bool:
    """Whether claims that name no class get this one."""
    found = meta.annotations(storage_class)
    return "true" in (found.get(DEFAULT_ANNOTATION), found.get(_BETA_DEFAULT_ANNOTATION))


def default_of(storage_classes: Iterable[Obj]) -> str | None:
    """The name of the default class, the newest of several; None if there is none."""
    found = [each for each in storage_classes if is_default(each)]
    if not found:
        return None
    newest = max(each["metadata"].get("creationTimestamp") or "" for each in found)
    return min(
        str(each["metadata"]["name"])
        for each in found
        if (each["metadata"].get("creationTimestamp") or "") == newest
    )


def waits_for_consumer(storage_class: Obj | None) -> bool:
    """Whether a claim of the class is bound only when a pod is about to use it."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


class StorageClassStrategy(Strategy):
    repeats_warnings = True
    returned_when_deleted = True

    def warnings(self, obj: Obj) -> list[str]:
        return [
            f"allowedTopologies[{index}].matchLabelExpressions[{number}].key: {DEPRECATED[expression['key']]}"
            for index, topology in enumerate(obj.get("allowedTopologies") or ())
            for number, expression in enumerate(topology.get("matchLabelExpressions") or ())
            if expression.get("key") in DEPRECATED
        ]

    def default(self, obj: Obj) -> None:
        if obj.get("reclaimPolicy") is None:
            obj["reclaimPolicy"] = "Delete"
        if obj.get("volumeBindingMode") is None:
            obj["volumeBindingMode"] = "Immediate"

    def validate(self, obj: Obj) -> list[Cause]:
        return list(_validate(obj))

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return self.validate(new) + [
            Cause.invalid(field, new.get(field), "field is immutable")
            for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
            if (new.get(field) or None) != (old.get(field) or None)
        ]


def _validate(obj: Obj) -> Iterator[Cause]:
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        yield Cause.required("provisioner")
    for problem in qualified_name(provisioner.lower()) if provisioner else ():
        yield Cause.invalid("provisioner", provisioner.lower(), problem)
    parameters = obj.get("parameters") or {}
    if len(parameters) > _PARAMETERS_MAX:
        yield Cause.too_long("parameters", _PARAMETERS_MAX)
    else:
        if "" in parameters:
            yield Cause.invalid("parameters", "", "field can not be empty.")
        if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > (
            _PARAMETERS_SIZE_MAX
        ):
            yield Cause.too_long("parameters", _PARAMETERS_SIZE_MAX)
    if (policy := obj.get("reclaimPolicy")) and policy not in _RECLAIM:
        yield Cause.not_supported("reclaimPolicy", policy, _RECLAIM)
    if (mode := obj.get("volumeBindingMode")) not in _BINDING:
        yield Cause.not_supported("volumeBindingMode", mode or "", _BINDING)
    yield from _validate_topologies(obj.get("allowedTopologies") or ())


def _validate_topologies(terms: Iterable[Obj]) -> Iterator[Cause]:
    seen: list[dict[str, frozenset[str]]] = []
    for index, term in enumerate(terms):
        at = f"allowedTopologies[{index}].matchLabelExpressions"
        found: dict[str, frozenset[str]] = {}
        for number, each in enumerate(term.get("matchLabelExpressions") or ()):
            here = f"{at}[{number}]"
            values, key = each.get("values") or (), each.get("key") or ""
            if not values:
                yield Cause.required(f"{here}.values")
            for position, value in enumerate(values):
                if value in values[:position]:
                    yield Cause.duplicate(f"{here}.values[{position}]", value)
            for problem in qualified_name(key):
                yield Cause.invalid(f"{here}.key", key, problem)
            if key in found:
                yield Cause.duplicate(f"{here}.key", key)
            found[key] = frozenset(values)
        if found in seen:
            yield Cause.duplicate(at, "")
        seen.append(found)


def _cells(storage_class: Obj, now: datetime) -> list[Cell]:
    mark = " (default)" if is_default(storage_class) else ""
    return [
        f"{cells.name(storage_class)}{mark}",
        storage_class.get("provisioner") or "",
        storage_class.get("reclaimPolicy") or "Delete",
        storage_class.get("volumeBindingMode") or "Immediate",
        bool(storage_class.get("allowVolumeExpansion")),
        cells.created(storage_class, now),
    ]


_PRINTER = Printer(
    (
        NAME,
        Column("Provisioner"),
        Column("ReclaimPolicy"),
        Column("VolumeBindingMode"),
        Column("AllowVolumeExpansion"),
        AGE,
    ),
    _cells,
)

KIND = Kind(STORAGECLASSES, StorageClassStrategy(), _PRINTER)
