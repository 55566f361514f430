"""Nobody makes a policy read what they can't: upstream's registry of policies asks this.

A policy may show its parameters in what it says, to whoever sends a request.
"""

from __future__ import annotations

from wellhead.api.errors import Cause, Invalid
from wellhead.api.meta import Obj
from wellhead.api.resources import (
    MUTATING_BINDINGS,
    MUTATING_POLICIES,
    VALIDATING_BINDINGS,
    VALIDATING_POLICIES,
    by_kind,
)
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.attributes import Attributes
from wellhead.apiserver.authn import User

_POLICIES = {VALIDATING_BINDINGS: VALIDATING_POLICIES, MUTATING_BINDINGS: MUTATING_POLICIES}
_ALMIGHTY = "system:masters"


class PolicyParameters(Plugin):
    name = "PolicyParameters"
    resources = (VALIDATING_POLICIES, VALIDATING_BINDINGS, MUTATING_POLICIES, MUTATING_BINDINGS)

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def validate(self, request: Request) -> None:
        """Raises Invalid."""
        if _ALMIGHTY in request.user.groups:
            return
        spec, old = request.obj["spec"], request.old.get("spec") or {}
        if request.resource in _POLICIES:
            field, problem = "paramRef", self._of_binding(request, spec, old)
        else:
            field, problem = "paramKind", self._of_policy(request.user, spec, old)
        if problem:
            causes = [Cause.forbidden(f"spec.{field}", problem)]
            raise Invalid.for_object(request.resource, request.obj, causes)

    def _of_policy(self, user: User, spec: Obj, old: Obj) -> str:
        kind = spec.get("paramKind")
        if kind is None or kind == old.get("paramKind"):
            return ""
        group, resource = self._resource(kind)
        if self._environment.authorizer.allows(user, Attributes("get", group, resource, "", "*", "*")):
            return ""
        name, version = kind.get("kind"), kind.get("apiVersion")
        return (
            f'user {user.name} must have "get" permission on all objects of the referenced paramKind'
            f" (kind={name}, apiVersion={version})"
        )

    def _of_binding(self, request: Request, spec: Obj, old: Obj) -> str:
        reference = spec.get("paramRef")
        same = ("paramRef", "policyName")
        if reference is None or all(spec.get(name) == old.get(name) for name in same):
            return ""
        name, namespace = reference.get("name") or "", reference.get("namespace") or ""
        verb = "get" if name else "list"
        policy = self._environment.registry.lookup(_POLICIES[request.resource], ("", spec["policyName"]))
        kind = None if policy is None else policy["spec"].get("paramKind")
        group, resource = ("*", "*") if kind is None else self._resource(kind)
        about = Attributes(verb, group, resource, "", namespace, name)
        if self._environment.authorizer.allows(request.user, about):
            return ""
        user = request.user.name
        if policy is None:
            return (
                f"unable to get policy {spec['policyName']} to determine minimum required permissions and"
                f' user {user} does not have "{verb}" permission for all groups, versions and resources'
            )
        return f'user {user} does not have "{verb}" permission on the object referenced by paramRef'

    def _resource(self, kind: Obj) -> tuple[str, str]:
        """Group and resource of a kind; all resources of its group if nobody knows it."""
        api_version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
        found = by_kind(api_version, name) or self._environment.kinds.by_kind(api_version, name)
        return (api_version.rpartition("/")[0], "*") if found is None else (found.group, found.plural)
