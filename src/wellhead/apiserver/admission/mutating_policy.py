"""MutatingAdmissionPolicy: expressions that change objects.

Upstream: apiserver's pkg/admission/plugin/policy/mutating/dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from wellhead.api.errors import ApiError, Forbidden
from wellhead.api.managed_fields.types import DEDUCED, Type, type_of
from wellhead.api.policies.mutation import MutatingPolicy, MutationFailed
from wellhead.api.resource import Resource
from wellhead.api.resources import MUTATING_BINDINGS, MUTATING_POLICIES, kind_of
from wellhead.api.webhooks.conditions import Allow, ConditionError
from wellhead.api.webhooks.matching import is_exempt
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.mutation import Reinvocation, completed, is_small
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Operation, Request
from wellhead.apiserver.policies.following import Policies
from wellhead.apiserver.policies.matching import Applicable, Failure, PolicyInvocation, subject
from wellhead.storage.encoding import decode, encode_json

_Id = tuple[str, str, str, str]
"""Policy, binding, namespace and name of the parameters."""


class MutatingAdmissionPolicy(Plugin):
    name = "MutatingAdmissionPolicy"
    operations = ("CREATE", "UPDATE", "CONNECT")
    subresources = None

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._policies = Policies(environment, MUTATING_POLICIES, MUTATING_BINDINGS, MutatingPolicy)

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        return operation in self.operations and not is_exempt(resource)

    async def mutate(self, request: Request) -> None:
        """Raises ApiError."""
        bound = self._policies.concerned(request)
        if not bound or not request.obj:
            return
        memory = request.memory.setdefault(self.name, Reinvocation[_Id]())
        assert isinstance(memory, Reinvocation)
        if request.round and request.obj != memory.left:
            memory.changed()
        invocation = PolicyInvocation(self._environment, request, mutating=True)
        for each in await invocation.applicable(bound):
            key = _id(each)
            if request.round and key not in memory.due:
                continue
            try:
                change = partial(self._change, invocation, request, each, invocation.variables(each))
                at_once = each.policy.is_compiled and is_small(request.obj)
                changed = await self._environment.registry.apart.judge(change, at_once=at_once)
            except (ConditionError, MutationFailed) as error:
                invocation.failed(each.policy, each.binding, str(error))
                continue
            if changed is None:
                continue
            if changed:
                memory.changed()
                request.again = True
            if each.policy.again:
                memory.asked.add(key)
        if invocation.failures:
            raise _refusal(request, invocation.failures)
        if request.again and not request.round:
            memory.left = decode(encode_json(request.obj))

    def _change(
        self,
        invocation: PolicyInvocation,
        request: Request,
        each: Applicable[MutatingPolicy],
        variables: Mapping[str, Any],
        allow: Allow,
    ) -> bool | None:
        """Whether the policy changes the object; None: its conditions don't hold.

        Raises ApiError, ConditionError, MutationFailed.
        """
        resource = each.resource
        is_whole = request.kind == request.resource.gvk
        seen = invocation.converted(request.obj, request.resource, resource)
        limits = self._environment.limits
        fields = kind_of(resource).fields if is_whole else _type_of(request)
        made = each.policy.mutate(decode(encode_json(seen)), variables, fields, limits, allow)
        if made is None:
            return None
        if made == seen:
            return False
        try:
            kind = resource.gvk if is_whole else request.kind
            found = completed(made, kind, resource if is_whole else None)
        except ApiError as error:
            raise MutationFailed(error.message) from None
        if found == seen:
            return False
        request.obj = invocation.converted(found, resource, request.resource)
        return True


def _type_of(request: Request) -> Type:
    try:
        return type_of(request.kind)
    except KeyError:
        return DEDUCED


def _id(each: Applicable[MutatingPolicy]) -> _Id:
    metadata = (each.params or {}).get("metadata") or {}
    return each.policy.name, each.binding.name, metadata.get("namespace") or "", metadata.get("name") or ""


def _refusal(request: Request, failures: list[Failure]) -> ApiError:
    said = []
    for each in failures:
        by = "" if each.binding is None else f" with binding '{each.binding.name}'"
        said.append(f"policy '{each.policy.name}'{by} denied request: {each.message}")
    error = Forbidden.of(request.resource, subject(request), "")
    error.status["message"] = said[0]
    if not failures[0].message.startswith("failed to configure"):
        error.status["reason"] = "Invalid"
    error.status["details"]["causes"] = [{"message": text} for text in said]
    return ApiError.from_status(error.status)
