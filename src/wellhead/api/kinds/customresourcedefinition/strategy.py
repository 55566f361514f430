"""The rules of CustomResourceDefinitions, where every kind has its rules."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.kind import Kind
from wellhead.api.kinds.customresourcedefinition.formats import unrecognized_formats
from wellhead.api.kinds.customresourcedefinition.hoisting import hoisted
from wellhead.api.kinds.customresourcedefinition.names import CLEANUP_FINALIZER, ending_status
from wellhead.api.kinds.customresourcedefinition.rules import (
    approval_problems,
    name_problems,
    spec_problems,
    stored_version_problems,
)
from wellhead.api.meta import Obj, is_condition_true, now
from wellhead.api.printer import NAME, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import ALWAYS_APART, Context, Strategy
from wellhead.text import quoted

CUSTOMRESOURCEDEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=frozenset({"status"}),
)


class DefinitionStrategy(Strategy):
    needs_version = True
    counts_generations = True

    @property
    def effort(self) -> int:
        return ALWAYS_APART

    def default(self, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if not names.get("singular"):
            names["singular"] = (names.get("kind") or "").lower()
        if not names.get("listKind") and names.get("kind"):
            names["listKind"] = f"{names['kind']}List"
        conversion = spec.setdefault("conversion", {"strategy": "None"})
        service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)

    def warnings(self, obj: Obj) -> list[str]:
        return [
            f"unrecognized format {quoted(name)}"
            for version in obj["spec"].get("versions") or ()
            for name in unrecognized_formats((version.get("schema") or {}).get("openAPIV3Schema") or {})
        ]

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["status"] = {}
        _add_stored_version(obj)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        _add_stored_version(new)

    def validate_create(self, obj: Obj) -> list[Cause]:
        return [*_own_name(obj), *self.validate(obj), *approval_problems(obj)]

    def validate(self, obj: Obj) -> list[Cause]:
        return [*hoisted(obj["spec"], spec_problems(obj["spec"])), *stored_version_problems(obj)]

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = []
        if new["spec"] != old["spec"]:
            causes += self.validate(new)
        else:
            causes += stored_version_problems(new)
        if is_condition_true(old, "Established"):
            causes += _fixed(new, old, "scope")
            causes += _fixed(new, old, "names", "kind")
        return [*causes, *_fixed(new, old, "group"), *_fixed(new, old, "names", "plural")]

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        accepted = new["status"].get("acceptedNames") or {}
        return [*name_problems(accepted, "status.acceptedNames"), *stored_version_problems(new)]

    def prepare_delete(self, obj: Obj) -> None:
        """What is kept until its objects are gone (apiextensions' customresourcedefinition/etcd.go)."""
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if CLEANUP_FINALIZER not in finalizers:
            finalizers.append(CLEANUP_FINALIZER)
        obj["status"] = ending_status(
            obj,
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            now(),
        )


def _add_stored_version(obj: Obj) -> None:
    status = dict(obj.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    storage = [each.get("name") or "" for each in obj["spec"].get("versions") or () if each.get("storage")]
    status["storedVersions"] = [*stored, *(name for name in storage[:1] if name not in stored)]
    obj["status"] = status


def _own_name(obj: Obj) -> list[Cause]:
    spec, name = obj["spec"], obj["metadata"].get("name") or ""
    wanted = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
    if name == wanted or not name:
        return []
    return [Cause.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')]


def _fixed(new: Obj, old: Obj, *path: str) -> list[Cause]:
    after, before = new["spec"], old["spec"]
    for name in path:
        after, before = after.get(name) or {}, before.get(name) or {}
    return [] if after == before else [Cause.invalid(f"spec.{'.'.join(path)}", after, "field is immutable")]


KIND = Kind(
    CUSTOMRESOURCEDEFINITIONS,
    DefinitionStrategy(),
    Printer(
        (NAME, Column("Created At", "date", description="The time when the object was created.")),
        lambda obj, _now: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")],
    ),
)
