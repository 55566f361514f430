"""Roles, ClusterRoles and their bindings. What they allow is decided in `api/rbac`.

Upstream: pkg/apis/rbac/validation, pkg/apis/rbac/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wellhead.api import cells
from wellhead.api.errors import Cause, one_of
from wellhead.api.formats import dns_subdomain, path_segment
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.metadata import validate_label_selector
from wellhead.api.printer import AGE, NAME, Cell, Column, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import Strategy

GROUP = "rbac.authorization.k8s.io"

ROLES = Resource(GROUP, "v1", "Role", "roles")
ROLEBINDINGS = Resource(GROUP, "v1", "RoleBinding", "rolebindings")
CLUSTERROLES = Resource(GROUP, "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTERROLEBINDINGS = Resource(GROUP, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)

ACCOUNT = "ServiceAccount"
_SUBJECTS = (ACCOUNT, "User", "Group")


class RoleStrategy(Strategy):
    """Of Roles, and (not `namespaced`) of ClusterRoles."""

    name_check = staticmethod(path_segment)
    created_by_update = True

    def __init__(self, *, namespaced: bool) -> None:
        self._namespaced = namespaced

    def default(self, obj: Obj) -> None:
        obj["rules"] = obj.get("rules") or []

    def validate(self, obj: Obj) -> list[Cause]:
        return [*self._of_rules(obj), *_of_aggregation(obj.get("aggregationRule"))]

    def _of_rules(self, obj: Obj) -> Iterator[Cause]:
        for index, rule in enumerate(obj.get("rules") or ()):
            at = f"rules[{index}]"
            if not rule.get("verbs"):
                yield Cause.required(f"{at}.verbs", "verbs must contain at least one value")
            if paths := rule.get("nonResourceURLs"):
                if self._namespaced:
                    text = "namespaced rules cannot apply to non-resource URLs"
                    yield Cause.invalid(f"{at}.nonResourceURLs", paths, text)
                if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
                    text = "rules cannot apply to both regular resources and non-resource URLs"
                    yield Cause.invalid(f"{at}.nonResourceURLs", paths, text)
                continue
            if not rule.get("apiGroups"):
                yield Cause.required(f"{at}.apiGroups", "resource rules must supply at least one api group")
            if not rule.get("resources"):
                yield Cause.required(f"{at}.resources", "resource rules must supply at least one resource")


def _of_aggregation(aggregation: Obj | None) -> Iterator[Cause]:
    if aggregation is None:
        return
    at = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors") or ()
    if not selectors:
        yield Cause.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(selectors):
        causes = validate_label_selector(selector, f"{at}[{index}]")
        yield from causes
        if causes:
            yield Cause.invalid(f"{at}[{index}]", None, "invalid label selector.")


class BindingStrategy(Strategy):
    """Of RoleBindings, and (not `namespaced`) of ClusterRoleBindings."""

    name_check = staticmethod(path_segment)
    created_by_update = True

    def __init__(self, *, namespaced: bool) -> None:
        self._namespaced = namespaced
        self._kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)

    def default(self, obj: Obj) -> None:
        role = obj.setdefault("roleRef", {})
        role["apiGroup"] = role.get("apiGroup") or GROUP
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup"):
                subject.pop("apiGroup", None)
                if subject.get("kind") in ("User", "Group"):
                    subject["apiGroup"] = GROUP

    def validate(self, obj: Obj) -> list[Cause]:
        role = obj["roleRef"]
        causes = [
            *one_of("roleRef.apiGroup", role["apiGroup"], (GROUP,)),
            *one_of("roleRef.kind", role.get("kind"), self._kinds),
        ]
        if name := role.get("name"):
            causes += [Cause.invalid("roleRef.name", name, problem) for problem in path_segment(name)]
        else:
            causes.append(Cause.required("roleRef.name"))
        for index, subject in enumerate(obj.get("subjects") or ()):
            causes += self._of_subject(subject, f"subjects[{index}]")
        return causes

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        causes = self.validate(new)
        if new["roleRef"] != old["roleRef"]:
            causes.append(Cause.invalid("roleRef", new["roleRef"], "cannot change roleRef"))
        return causes

    def _of_subject(self, subject: Obj, at: str) -> Iterator[Cause]:
        name, group = subject.get("name") or "", subject.get("apiGroup") or ""
        if not name:
            yield Cause.required(f"{at}.name")
        match subject.get("kind"):
            case "ServiceAccount":
                for problem in dns_subdomain(name) if name else ():
                    yield Cause.invalid(f"{at}.name", name, problem)
                if group:
                    yield Cause.not_supported(f"{at}.apiGroup", group, ("",))
                if not self._namespaced and not subject.get("namespace"):
                    yield Cause.required(f"{at}.namespace")
            case "User" | "Group":
                yield from one_of(f"{at}.apiGroup", group, (GROUP,))
            case kind:
                yield Cause.not_supported(f"{at}.kind", kind or "", _SUBJECTS)


def _subjects(binding: Obj, kind: str) -> str:
    subjects = [each for each in binding.get("subjects") or () if each.get("kind") == kind]
    if kind == ACCOUNT:
        return ", ".join(f"{each.get('namespace') or ''}/{each['name']}" for each in subjects)
    return ", ".join(each["name"] for each in subjects)


def _binding_cells(binding: Obj, now: datetime) -> list[Cell]:
    role = binding["roleRef"]
    who = [_subjects(binding, kind) for kind in ("User", "Group", ACCOUNT)]
    return [cells.name(binding), f"{role['kind']}/{role['name']}", cells.created(binding, now), *who]


_ROLES = Printer(
    (NAME, Column("Created At", "date")),
    lambda role, _: [cells.name(role), role["metadata"].get("creationTimestamp", "")],
)
_BINDINGS = Printer(
    (
        NAME,
        Column("Role"),
        AGE,
        Column("Users", wide=True),
        Column("Groups", wide=True),
        Column("ServiceAccounts", wide=True),
    ),
    _binding_cells,
)

KINDS = (
    Kind(CLUSTERROLEBINDINGS, BindingStrategy(namespaced=False), _BINDINGS),
    Kind(CLUSTERROLES, RoleStrategy(namespaced=False), _ROLES),
    Kind(ROLEBINDINGS, BindingStrategy(namespaced=True), _BINDINGS),
    Kind(ROLES, RoleStrategy(namespaced=True), _ROLES),
)
