"""Nobody gives rights that they haven't: whether a user may write this role, or this binding.

Upstream: pkg/registry/rbac/{role,clusterrole,rolebinding,clusterrolebinding}/policybased.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellhead.api.errors import Forbidden, NotFound
from wellhead.api.kinds.rbac import CLUSTERROLEBINDINGS, CLUSTERROLES, GROUP, ROLEBINDINGS, ROLES
from wellhead.api.meta import Obj
from wellhead.api.rbac.covering import escalation, uncovered
from wellhead.api.rbac.rules import ALL, Rule, rules_of
from wellhead.api.resource import Resource
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User
from wellhead.apiserver.authz import EVERYTHING, Authorizer
from wellhead.apiserver.rbac.index import missing_role

_EVERYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), paths=(ALL,)))
# What the garbage collector changes, and what the server itself keeps.
_COLLECTORS = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")


class EscalationCheck:
    """Decides by what the user has."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def check(self, user: User, resource: Resource, namespace: str, new: Obj, old: Obj | None) -> None:
        """Raises Forbidden, and NotFound for a binding to a role that there isn't."""
        if resource.group != GROUP or EVERYTHING in user.groups:
            return
        if old is not None and _essence(new) == _essence(old):
            return
        if resource in (ROLES, CLUSTERROLES):
            self._check_role(user, resource, namespace, new, old)
        elif resource in (ROLEBINDINGS, CLUSTERROLEBINDINGS):
            self._check_binding(user, resource, namespace, new)

    def _check_role(self, user: User, resource: Resource, namespace: str, new: Obj, old: Obj | None) -> None:
        name = (new.get("metadata") or {}).get("name") or ""
        # A creation's request has no name that a rule could be about.
        asked = "" if old is None else name
        action = Attributes("escalate", GROUP, resource.plural, namespace=namespace, name=asked)
        if self._authorizer.allows(user, action):
            return
        self._confirm(user, resource, name, namespace, rules_of(new))
        if (_gathers(new) or (old is not None and _gathers(old))) and uncovered(
            self._authorizer.rules(user, namespace)[0], _EVERYTHING
        ):
            text = "must have cluster-admin privileges to use the aggregationRule"
            raise Forbidden.of(resource, name, text)

    def _check_binding(self, user: User, resource: Resource, namespace: str, new: Obj) -> None:
        role = new.get("roleRef") or {}
        kind, role_name = role.get("kind") or "", role.get("name") or ""
        plural = {"Role": "roles", "ClusterRole": "clusterroles"}.get(kind)
        if plural is None:
            return  # which validation refuses
        group = role.get("apiGroup") or GROUP
        binds = Attributes("bind", group, plural, namespace=namespace, name=role_name)
        if self._authorizer.allows(user, binds):
            return
        rules = self._authorizer.role(kind, role_name, namespace)
        if rules is None:
            details = {"name": role_name, "group": GROUP, "kind": kind.lower()}
            raise NotFound(missing_role(kind, role_name), details=details)
        name = (new.get("metadata") or {}).get("name") or ""
        self._confirm(user, resource, name, namespace, rules)

    def _confirm(
        self, user: User, resource: Resource, name: str, namespace: str, rules: Sequence[Rule]
    ) -> None:
        owned, problem = self._authorizer.rules(user, namespace)
        if missing := uncovered(owned, rules):
            text = escalation(user.name, user.groups, missing)
            if problem:
                text += f"; resolution errors: [{problem}]"
            raise Forbidden.of(resource, name, text)


def _gathers(role: Obj) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _essence(obj: Obj) -> Obj:
    """All but what the garbage collector may change without having any of the rights."""
    metadata = {
        name: value
        for name, value in (obj.get("metadata") or {}).items()
        if name not in _COLLECTORS and value
    }
    rest = {name: value for name, value in obj.items() if name != "metadata" and value}
    return {**rest, "metadata": metadata}
