"""Nodes."""

from __future__ import annotations

import re
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, duplicates
from wellhead.api.formats import at_most_one_of_each_family, cidr, label_value, qualified_name
from wellhead.api.kind import Kind
from wellhead.api.kinds.amounts import validate_amount
from wellhead.api.meta import Obj, condition, labels
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.quantity import canonical
from wellhead.api.strategy import Strategy
from wellhead.api.well_known import NODES
from wellhead.text import quoted

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_FEATURE = re.compile("[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*", re.ASCII)
_MAX_FEATURE = 253


class NodeStrategy(Strategy):
    repeats_warnings = True
    keeps_initial_status = True

    def warnings(self, obj: Obj) -> list[str]:
        spec = obj.get("spec") or {}
        found = []
        if spec.get("configSource") is not None:
            found.append("spec.configSource: the feature is removed")
        if spec.get("externalID"):
            found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        return found

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        obj.setdefault("status", {})
        first, networks = spec.get("podCIDR"), spec.get("podCIDRs")
        if first and (not networks or networks[0] != first):  # where they differ, the older field counts
            spec["podCIDRs"] = [first]
        elif networks:
            spec["podCIDR"] = networks[0]
        self._default_status(obj["status"])

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        self._default_status(new["status"])

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        causes = _validate_status(obj["status"])
        networks = spec.get("podCIDRs") or []
        at = "spec.podCIDRs"
        for index, text in enumerate(networks):
            causes += [Cause.invalid(f"{at}[{index}]", text, problem) for problem in cidr(text)]
        causes += duplicates(networks, at)
        if not at_most_one_of_each_family(networks):
            text = "may specify no more than one CIDR for each IP family"
            causes.append(Cause.invalid(at, networks, text))
        seen = set()
        for index, taint in enumerate(spec.get("taints") or ()):
            at = f"metadata.taints[{index}]"  # upstream's place of them
            key, value, effect = (taint.get(field) or "" for field in ("key", "value", "effect"))
            causes += [Cause.invalid(f"{at}.key", key, problem) for problem in qualified_name(key)]
            if problems := label_value(value):
                causes.append(Cause.invalid(f"{at}.value", value, ";".join(problems)))
            if not effect:
                causes.append(Cause.required(f"{at}.effect"))
            elif effect not in _EFFECTS:
                causes.append(Cause.not_supported(f"{at}.effect", effect, _EFFECTS))
            if (key, effect) in seen:
                text = "taints must be unique by key and effect pair"
                causes.append(Cause.duplicate(at, taint, text))
            seen.add((key, effect))
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        spec, before = new["spec"], old["spec"]
        if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
            causes.append(
                Cause.forbidden(
                    "spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'
                )
            )
        if before.get("providerID") and spec.get("providerID") != before["providerID"]:
            text = 'node updates may not change providerID except from "" to valid'
            causes.append(Cause.forbidden("spec.providerID", text))
        if spec.get("externalID", "") != before.get("externalID", ""):
            causes.append(Cause.forbidden("spec.externalID", "may not be updated"))
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        return _validate_status(new["status"])

    @staticmethod
    def _default_status(status: Obj) -> None:
        for field in ("capacity", "allocatable"):
            for name, amount in (status.get(field) or {}).items():
                status[field][name] = _canonical(amount)
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])


def _validate_status(status: Obj) -> list[Cause]:
    causes = duplicates(status.get("addresses") or (), "status.addresses")
    for field in ("capacity", "allocatable"):
        for name, text in (status.get(field) or {}).items():
            causes += validate_amount(name, text, f"status.{field}.{name}")
    features = status.get("declaredFeatures") or ()
    for index, feature in enumerate(features):
        at = f"status.declaredFeatures[{index}]"
        if len(feature) > _MAX_FEATURE or not _FEATURE.fullmatch(feature):
            text = (
                f"invalid feature name {quoted(feature)}: must start with an UpperCamelCase segment, with "
                "subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and "
                "contain only alphanumeric characters and slashes"
            )
            causes.append(Cause.invalid(at, feature, text))
        if index and feature == features[index - 1]:
            causes.append(Cause.duplicate(at, feature))
        elif index and feature < features[index - 1]:
            causes.append(Cause.invalid(at, feature, "list must be sorted alphabetically"))
    return causes


def _canonical(amount: str | float) -> str:
    try:
        return canonical(amount)
    except ValueError:
        return str(amount)


_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _status(node: Obj) -> str:
    ready = condition(node, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if node["spec"].get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj) -> str:
    roles = {label.removeprefix(_ROLE_PREFIX) for label in labels(node) if label.startswith(_ROLE_PREFIX)}
    roles.add(labels(node).get(_ROLE_LABEL, ""))
    return cells.joined(sorted(roles - {""}))


def _address(node: Obj, kind: str) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((entry["address"] for entry in addresses if entry.get("type") == kind), cells.NONE)


def _cells(node: Obj, now: datetime) -> list[Cell]:
    info = (node.get("status") or {}).get("nodeInfo") or {}
    return [
        cells.name(node),
        _status(node),
        _roles(node),
        cells.created(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        _kernel(info),
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _kernel(info: Obj) -> str:
    version, architecture = info.get("kernelVersion") or "<unknown>", info.get("architecture")
    return f"{version} ({architecture})" if architecture else version


_PRINTER = Printer(
    (
        NAME,
        Column("Status"),
        Column("Roles"),
        AGE,
        Column("Version"),
        Column("Internal-IP", wide=True),
        Column("External-IP", wide=True),
        Column("OS-Image", wide=True),
        Column("Kernel-Version", wide=True),
        Column("Container-Runtime", wide=True),
    ),
    _cells,
)

KIND = Kind(NODES, NodeStrategy(), _PRINTER)
