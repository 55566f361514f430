"""Nodes."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import at_most_one_of_each_family, cidr, label_value, qualified_name
from wellhead.api.meta import Obj
from wellhead.api.quantity import canonical
from wellhead.api.strategy import Strategy

_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


class NodeStrategy(Strategy):
    keeps_initial_status = True

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
        causes: list[Cause] = []
        networks = spec.get("podCIDRs") or []
        at = "spec.podCIDRs"
        for index, text in enumerate(networks):
            causes += [Cause.invalid(f"{at}[{index}]", text, problem) for problem in cidr(text)]
            if text in networks[:index]:
                causes.append(Cause.duplicate(f"{at}[{index}]", text))
        if not at_most_one_of_each_family(networks):
            text = "may specify no more than one CIDR for each IP family"
            causes.append(Cause.invalid(at, networks, text))
        seen = set()
        for index, taint in enumerate(spec.get("taints") or ()):
            at = f"spec.taints[{index}]"
            key, value, effect = (taint.get(field) or "" for field in ("key", "value", "effect"))
            causes += [Cause.invalid(f"{at}.key", key, problem) for problem in qualified_name(key)]
            causes += [Cause.invalid(f"{at}.value", value, problem) for problem in label_value(value)]
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
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        addresses = new["status"].get("addresses") or []
        return [
            Cause.duplicate(f"status.addresses[{index}]", address)
            for index, address in enumerate(addresses)
            if address in addresses[:index]
        ]

    @staticmethod
    def _default_status(status: Obj) -> None:
        for field in ("capacity", "allocatable"):
            for name, amount in (status.get(field) or {}).items():
                status[field][name] = _canonical(amount)
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])


def _canonical(amount: str | float) -> str:
    try:
        return canonical(amount)
    except ValueError:
        return str(amount)


STRATEGIES = {"": NodeStrategy()}
