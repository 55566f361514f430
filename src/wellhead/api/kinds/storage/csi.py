"""What CSI drivers say of themselves: drivers, nodes, capacities, attachments, classes of attributes.

Upstream: pkg/apis/storage/validation, pkg/registry/storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_subdomain, qualified_name
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.quantity import Quantity, canonical
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings import node_labels

_GROUP = "storage.k8s.io"
CSIDRIVERS = Resource(_GROUP, "v1", "CSIDriver", "csidrivers", namespaced=False)
CSINODES = Resource(_GROUP, "v1", "CSINode", "csinodes", namespaced=False)
CSISTORAGECAPACITIES = Resource(_GROUP, "v1", "CSIStorageCapacity", "csistoragecapacities")
VOLUMEATTACHMENTS = Resource(
    _GROUP,
    "v1",
    "VolumeAttachment",
    "volumeattachments",
    namespaced=False,
    subresources=frozenset({"status"}),
)
VOLUMEATTRIBUTESCLASSES = Resource(
    _GROUP,
    "v1",
    "VolumeAttributesClass",
    "volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
)

_FIXED = "field is immutable"
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_MODES = ("Persistent", "Ephemeral")
_MIN_SECONDS, _MAX_SECONDS = 600, 1 << 32
_MAX_NAME = 63
_MAX_NODE_ID = 256
_MAX_PARAMETERS = 256 * 1024  # bytes
_EXACTLY_ONE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def driver_name(name: str, at: str) -> Iterator[Cause]:
    """What is wrong with the name of a driver. Capitals are allowed, for those that came before the rule."""
    if not name:
        yield Cause.required(at)
        return
    if len(name) > _MAX_NAME:
        yield Cause.too_long(at, _MAX_NAME)
    yield from (Cause.invalid(at, name, text) for text in dns_subdomain(name.lower()))


def _fixed(at: str, new: object, old: object) -> list[Cause]:
    return [] if new == old else [Cause.invalid(at, new, _FIXED)]


_TOKENS_EXPOSED = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent "
    "possible logging of tokens in volume attributes"
)


class CSIDriverStrategy(Strategy):
    def warnings(self, obj: Obj) -> list[str]:
        spec = obj.get("spec") or {}
        exposed = spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None
        return [_TOKENS_EXPOSED] if exposed else []

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        asked = ((each.get("spec") or {}).get("tokenRequests") for each in (new, old))
        return self.warnings(new) if next(asked) != next(asked) else []

    needs_version = True
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("attachRequired", True)
        for field in ("podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"):
            spec.setdefault(field, False)
        spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
        if not spec.get("volumeLifecycleModes"):
            spec["volumeLifecycleModes"] = ["Persistent"]

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        if new["spec"] != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        causes = one_of("spec.fsGroupPolicy", spec.get("fsGroupPolicy"), _GROUP_POLICIES)
        causes += _of_token_requests(spec.get("tokenRequests") or ())
        for mode in spec.get("volumeLifecycleModes") or ():
            causes += one_of("spec.volumeLifecycleModes", mode, _MODES)
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        after, before = new["spec"], old["spec"]
        return [
            *self.validate(new),
            *_fixed("spec.attachedRequired", after.get("attachRequired"), before.get("attachRequired")),
            *_fixed(
                "spec.volumeLifecycleModes",
                after.get("volumeLifecycleModes"),
                before.get("volumeLifecycleModes"),
            ),
        ]


def _of_token_requests(requests: list[Obj] | tuple[()]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, request in enumerate(requests):
        at, audience = f"spec.tokenRequests[{index}]", request.get("audience") or ""
        if audience in seen:
            yield Cause.duplicate(f"{at}.audience", audience)
            continue
        seen.add(audience)
        seconds, here = request.get("expirationSeconds"), f"{at}.expirationSeconds"
        if seconds is not None and seconds < _MIN_SECONDS:
            yield Cause.invalid(here, seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > _MAX_SECONDS:
            yield Cause.invalid(here, seconds, "may not specify a duration larger than 2^32 seconds")


def _driver_cells(driver: Obj, now: datetime) -> list[Cell]:
    spec = driver.get("spec") or {}
    flags = [bool(spec.get(field)) for field in ("podInfoOnMount", "storageCapacity")]
    requests = spec.get("tokenRequests")
    return [
        cells.name(driver),
        spec.get("attachRequired", True),
        *flags,
        "<unset>" if requests is None else ",".join(each.get("audience") or "" for each in requests),
        bool(spec.get("requiresRepublish")),
        cells.joined(spec.get("volumeLifecycleModes") or []),
        cells.created(driver, now),
    ]


class CSINodeStrategy(Strategy):
    needs_version = True
    returned_when_deleted = True

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        spec["drivers"] = spec.get("drivers") or []

    def validate(self, obj: Obj) -> list[Cause]:
        causes: list[Cause] = []
        names: set[str] = set()
        for index, driver in enumerate(obj["spec"]["drivers"]):
            at, name = f"spec.drivers[{index}]", driver.get("name") or ""
            causes += driver_name(name, f"{at}.name")
            causes += _of_node_id(driver.get("nodeID") or "", f"{at}.nodeID")
            count = (driver.get("allocatable") or {}).get("count")
            if count is not None and count < 0:
                text = "must be greater than or equal to 0"
                causes.append(Cause.invalid(f"{at}.allocatable.count", count, text))
            if name in names:
                causes.append(Cause.duplicate(f"{at}.name", name))
            names.add(name)
            causes += _of_topology(driver.get("topologyKeys") or (), at)
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        before = {each.get("name"): each for each in (old.get("spec") or {}).get("drivers") or ()}
        for driver in new["spec"]["drivers"]:
            known = before.get(driver.get("name"))
            if known is not None and {**driver, "allocatable": None} != {**known, "allocatable": None}:
                causes.append(Cause.invalid("spec.drivers", driver, _FIXED))
        return causes


def _of_node_id(identity: str, at: str) -> Iterator[Cause]:
    if not identity:
        yield Cause.required(at, identity)
    if len(identity) > _MAX_NODE_ID:
        text = f"must be {_MAX_NODE_ID} characters or less"
        yield Cause.invalid(at, identity, text)


def _of_topology(keys: list[str] | tuple[()], at: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for key in keys:
        if not key:
            yield Cause.required(at, key)
        if key in seen:
            yield Cause.duplicate(at, key)
        seen.add(key)
        yield from (Cause.invalid(at, key, text) for text in qualified_name(key))


def _node_cells(node: Obj, now: datetime) -> list[Cell]:
    drivers = (node.get("spec") or {}).get("drivers") or ()
    return [cells.name(node), len(drivers), cells.created(node, now)]


class CSIStorageCapacityStrategy(Strategy):
    def warnings(self, obj: Obj) -> list[str]:
        topology, at = obj.get("nodeTopology") or {}, "nodeTopology"
        return [
            *node_labels.of_expressions(at, topology),
            *(
                f"{at}.matchLabels.{name}: {node_labels.DEPRECATED[name]}"
                for name in topology.get("matchLabels") or ()
                if name in node_labels.DEPRECATED
            ),
        ]

    needs_version = True

    def default(self, obj: Obj) -> None:
        for field in ("capacity", "maximumVolumeSize"):
            try:
                if obj.get(field) is not None:
                    obj[field] = canonical(obj[field])
            except ValueError:
                continue  # which validation says

    def validate(self, obj: Obj) -> list[Cause]:
        name = obj.get("storageClassName") or ""
        causes = validate_label_selector(obj.get("nodeTopology"), "nodeTopology")
        causes += [Cause.invalid("storageClassName", name, text) for text in dns_subdomain(name)]
        for field in ("capacity", "maximumVolumeSize"):
            if (text := obj.get(field)) is None:
                continue
            try:
                amount = Quantity.parse(text)
            except ValueError as error:
                causes.append(Cause.invalid(field, text, str(error)))
                continue
            if amount.nanos < 0:
                causes.append(Cause.invalid(field, text, "must be greater than or equal to 0"))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [
            *self.validate(new),
            *_fixed("nodeTopology", new.get("nodeTopology"), old.get("nodeTopology")),
            *_fixed("storageClassName", new.get("storageClassName"), old.get("storageClassName")),
        ]


def _capacity_cells(capacity: Obj, now: datetime) -> list[Cell]:
    """Upstream's columns for its class and amount are of a type that isn't served."""
    return [cells.name(capacity), capacity["metadata"].get("creationTimestamp") or cells.NONE]


class VolumeAttachmentStrategy(Strategy):
    status_metadata = frozenset()
    needs_version = True
    returned_when_deleted = True

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"attached": False}

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj.get("spec") or {}
        source = spec.get("source") or {}
        causes = list(driver_name(spec.get("attacher") or "", "spec.attacher"))
        inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
        if inline is None and name is None:
            causes.append(Cause.required("spec.source", _EXACTLY_ONE))
        elif inline is not None and name is not None:
            causes.append(Cause.forbidden("spec.source", _EXACTLY_ONE))
        elif name is not None:
            at = "spec.source.persistentVolumeName"
            if not name:
                causes.append(Cause.required(at, "must specify non empty persistentVolumeName"))
            causes += [Cause.invalid(at, name, text) for text in dns_subdomain(name)]
        node = spec.get("nodeName") or ""
        causes += [Cause.invalid("spec.nodeName", node, text) for text in dns_subdomain(node)]
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return [*self.validate(new), *_fixed("spec", new.get("spec"), old.get("spec"))]


def _attachment_cells(attachment: Obj, now: datetime) -> list[Cell]:
    spec = attachment.get("spec") or {}
    return [
        cells.name(attachment),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool((attachment.get("status") or {}).get("attached")),
        cells.created(attachment, now),
    ]


class VolumeAttributesClassStrategy(Strategy):
    returned_when_deleted = True

    def validate(self, obj: Obj) -> list[Cause]:
        name = obj.get("driverName") or ""
        causes: list[Cause] = []
        if not name:
            causes.append(Cause.required("driverName"))
        else:
            causes += [Cause.invalid("driverName", name, text) for text in qualified_name(name.lower())]
        parameters = obj.get("parameters") or {}
        if not parameters:
            causes.append(Cause.required("parameters", "must contain at least one key/value pair"))
        size = sum(len(key) + len(value) for key, value in parameters.items())
        if size > _MAX_PARAMETERS:
            causes.append(Cause.too_long("parameters", _MAX_PARAMETERS))
        causes += [
            Cause.invalid("parameters", key, "field can not be empty.") for key in parameters if not key
        ]
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = [
            Cause.forbidden(field, f"updates to {field} are forbidden.")
            for field in ("driverName", "parameters")
            if (new.get(field) or None) != (old.get(field) or None)
        ]
        return causes + self.validate(new)


def _attributes_cells(kind: Obj, now: datetime) -> list[Cell]:
    return [cells.name(kind), kind.get("driverName", ""), cells.created(kind, now)]


KINDS = (
    Kind(
        CSIDRIVERS,
        CSIDriverStrategy(),
        Printer(
            (
                NAME,
                Column("AttachRequired", "boolean"),
                Column("PodInfoOnMount", "boolean"),
                Column("StorageCapacity", "boolean"),
                Column("TokenRequests"),
                Column("RequiresRepublish", "boolean"),
                Column("Modes"),
                AGE,
            ),
            _driver_cells,
        ),
    ),
    Kind(CSINODES, CSINodeStrategy(), Printer((NAME, Column("Drivers", "integer"), AGE), _node_cells)),
    Kind(
        CSISTORAGECAPACITIES,
        CSIStorageCapacityStrategy(),
        Printer((NAME, Column("Created At", "date")), _capacity_cells),
    ),
    Kind(
        VOLUMEATTACHMENTS,
        VolumeAttachmentStrategy(),
        Printer(
            (
                NAME,
                Column("Attacher", format="name"),
                Column("PV"),
                Column("Node"),
                Column("Attached", "boolean"),
                AGE,
            ),
            _attachment_cells,
        ),
    ),
    Kind(
        VOLUMEATTRIBUTESCLASSES,
        VolumeAttributesClassStrategy(),
        Printer((NAME, Column("DriverName"), AGE), _attributes_cells),
    ),
)
