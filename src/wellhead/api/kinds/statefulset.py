"""StatefulSets."""

from __future__ import annotations

from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause
from wellhead.api.formats import dns_label
from wellhead.api.kind import Kind
from wellhead.api.kinds.storage.claims import default_claim_spec, validate_claim_spec
from wellhead.api.kinds.workload import (
    default_workload,
    is_nothing,
    validate_not_negative,
    validate_selection,
    validate_share_of_all,
    validate_status,
    validate_template,
)
from wellhead.api.meta import Obj
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Context, Strategy
from wellhead.api.warnings import amounts, pods

STATEFULSETS = Resource(
    "apps",
    "v1",
    "StatefulSet",
    "statefulsets",
    short_names=("sts",),
    categories=("all",),
    subresources=frozenset({"status", "scale"}),
)

_MANAGEMENT = ("OrderedReady", "Parallel")
_STRATEGIES = ("RollingUpdate", "OnDelete")
_RETENTION = ("Retain", "Delete")
_CHANGEABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSetStrategy(Strategy):
    name_check = staticmethod(dns_label)
    counts_generations = True

    def default(self, obj: Obj) -> None:
        spec: Obj = obj.setdefault("spec", {})
        default_workload(spec)
        spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
            strategy.setdefault("rollingUpdate", {})
        if strategy["type"] == "RollingUpdate" and (rolling := strategy.get("rollingUpdate")) is not None:
            rolling.setdefault("partition", 0)
            rolling.setdefault("maxUnavailable", 1)
        retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for when in ("whenDeleted", "whenScaled"):
            retention[when] = retention.get(when) or "Retain"
        spec.setdefault("revisionHistoryLimit", 10)
        for claim in spec.get("volumeClaimTemplates") or ():
            _default_claim(claim)

    def warnings(self, obj: Obj) -> list[str]:
        return [*pods.of_template("spec.template", obj["spec"].get("template")), *_of_rest(obj["spec"])]

    def update_warnings(self, new: Obj, old: Obj) -> list[str]:
        if not old or new["spec"] != old["spec"]:
            return self.warnings(new)
        return _of_rest(new["spec"])

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate(self, obj: Obj) -> list[Cause]:
        spec = obj["spec"]
        at, policy = "spec.podManagementPolicy", spec["podManagementPolicy"]
        causes = []
        if policy not in _MANAGEMENT:
            causes.append(Cause.invalid(at, policy, "must be 'OrderedReady' or 'Parallel'"))
        causes += _validate_strategy(spec["updateStrategy"])
        for when, what in spec["persistentVolumeClaimRetentionPolicy"].items():
            if what not in _RETENTION:
                at = f"spec.persistentVolumeClaimRetentionPolicy.{when}"
                causes.append(Cause.not_supported(at, what, _RETENTION))
        causes += validate_not_negative(spec, "replicas", "minReadySeconds")
        start = (spec.get("ordinals") or {}).get("start", 0)
        if start < 0:
            text = "must be greater than or equal to 0"
            causes.append(Cause.invalid("spec.ordinals.start", start, text))
        causes += validate_selection(spec, "statefulset")
        return causes + validate_template(_with_claims(spec), "StatefulSet")

    def validate_create(self, obj: Obj) -> list[Cause]:
        causes, name = self.validate(obj), obj["spec"].get("serviceName")
        if name:
            causes += [Cause.invalid("spec.serviceName", name, problem) for problem in dns_label(name)]
        for number, claim in enumerate(obj["spec"].get("volumeClaimTemplates") or ()):
            causes += validate_claim_spec(claim["spec"], f"spec.volumeClaimTemplates[{number}].spec")
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        if _fixed(new["spec"]) != _fixed(old["spec"]):
            causes.append(Cause.forbidden("spec", _FORBIDDEN))
        return causes

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        parts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
        return validate_status(new["status"], *parts)


def _of_rest(spec: Obj) -> list[str]:
    """What is worth a word beside the template."""
    claims = enumerate(spec.get("volumeClaimTemplates") or ())
    found = [
        text
        for index, claim in claims
        for text in amounts.of_claim(f"spec.volumeClaimTemplates[{index}]", claim.get("spec") or {})
    ]
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


def _default_claim(claim: Obj) -> None:
    """As a claim of its own is defaulted (SetDefaults_PersistentVolumeClaim)."""
    claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
    claim.setdefault("metadata", {})
    default_claim_spec(claim.setdefault("spec", {}))
    claim["status"] = {"phase": "Pending", **(claim.get("status") or {})}


def _fixed(spec: Obj) -> Obj:
    return {name: value for name, value in spec.items() if name not in _CHANGEABLE and value not in ([], {})}


def _with_claims(spec: Obj) -> Obj:
    """The template as its pods get it: with a volume for each claim, without what is overwritten."""
    template: Obj = spec["template"]
    pod = {name: value for name, value in template["spec"].items() if name not in ("hostname", "subdomain")}
    claims = [claim["metadata"].get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    volumes += [each for each in pod.get("volumes") or () if each.get("name") not in claims]
    return {**template, "spec": {**pod, "volumes": volumes} if volumes else pod}


def _validate_strategy(strategy: Obj) -> list[Cause]:
    at, rolling = "spec.updateStrategy", strategy.get("rollingUpdate")
    if strategy["type"] not in _STRATEGIES:
        return [Cause.invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    at = f"{at}.rollingUpdate"
    if rolling is None:
        return []
    if strategy["type"] == "OnDelete":
        return [Cause.invalid(at, rolling, "only allowed for updateStrategy 'RollingUpdate'")]
    causes = []
    if rolling["partition"] < 0:
        text = "must be greater than or equal to 0"
        causes.append(Cause.invalid(f"{at}.partition", rolling["partition"], text))
    unavailable, at = rolling["maxUnavailable"], f"{at}.maxUnavailable"
    problems = validate_share_of_all(unavailable, at)
    if not problems and is_nothing(unavailable):
        problems = [Cause.invalid(at, unavailable, "cannot be 0")]
    return causes + problems


def _cells(statefulset: Obj, now: datetime) -> list[Cell]:
    spec, status = statefulset["spec"], statefulset.get("status") or {}
    return [
        cells.name(statefulset),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        cells.created(statefulset, now),
        *cells.containers(spec["template"].get("spec") or {}),
    ]


_PRINTER = Printer(
    (NAME, Column("Ready"), AGE, Column("Containers", wide=True), Column("Images", wide=True)), _cells
)

KIND = Kind(STATEFULSETS, StatefulSetStrategy(), _PRINTER)
