"""One request on its way past the policies: which of them it concerns, and what their expressions see.

Upstream: apiserver's policy/generic/policy_dispatcher.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from wellhead.api.errors import ApiError
from wellhead.api.meta import Obj
from wellhead.api.policies.policy import Binding, NoParams, param_namespace
from wellhead.api.policies.validation import Policy
from wellhead.api.resource import Resource
from wellhead.api.resources import NAMESPACES, by_kind
from wellhead.api.selectors import LabelSelector
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.webhooks.invocation import Invocation, authorization

P = TypeVar("P", bound=Policy)


@dataclass(frozen=True)
class Failure:
    """A policy that can't be asked."""

    policy: Policy
    binding: Binding | None
    message: str


@dataclass(frozen=True)
class Applicable(Generic[P]):
    """A policy to be asked with one set of parameters."""

    policy: P
    binding: Binding
    resource: Resource
    """By which name of its resource the request is matched."""
    params: Obj | None


class PolicyInvocation(Invocation):
    """Finds the policies that one request concerns."""

    def __init__(self, environment: Environment, request: Request, *, mutating: bool) -> None:
        super().__init__(environment, request, mutating=mutating)
        self.failures: list[Failure] = []
        """Those policies that can't be asked, and mustn't be left out."""
        self._asking: dict[str, object] | None = None

    async def applicable(self, bound: Sequence[tuple[P, Sequence[Binding]]]) -> list[Applicable[P]]:
        found: list[Applicable[P]] = []
        for policy, bindings in bound:
            if policy.problem:
                self.failed(policy, None, f"failed to configure policy: {policy.problem}")
                continue
            try:
                resource = self._resource_for(policy.matching, policy.name, all_without_rules=False)
            except ApiError as error:
                self.failed(policy, None, f"failed to configure policy: {error.message}")
                continue
            if resource is None:
                continue
            kind = None
            if (wanted := policy.param_kind) is not None:
                api_version, name = wanted.get("apiVersion") or "", wanted.get("kind") or ""
                kind = by_kind(api_version, name) or self._environment.kinds.by_kind(api_version, name)
                if kind is None:
                    text = f"failed to find resource referenced by paramKind: '{api_version}, Kind={name}'"
                    self.failed(policy, None, f"failed to configure policy: {text}")
                    continue
            for binding in bindings:
                found += await self._by_binding(policy, binding, resource, kind)
        return found

    async def _by_binding(
        self, policy: P, binding: Binding, resource: Resource, kind: Resource | None
    ) -> list[Applicable[P]]:
        try:
            if binding.problem:
                raise NoParams(binding.problem)
            if self._resource_for(binding.matching, policy.name, all_without_rules=True) is None:
                return []
            params = [None] if kind is None else await self._params(kind, binding)
        except (ApiError, NoParams) as error:
            self.failed(policy, binding, f"failed to configure binding: {error}")
            return []
        return [Applicable(policy, binding, resource, each) for each in params]

    def failed(self, policy: Policy, binding: Binding | None, message: str) -> None:
        if not policy.may_fail:
            self.failures.append(Failure(policy, binding, message))

    def _resource_for(self, matching: Any, name: str, *, all_without_rules: bool) -> Resource | None:
        request = self._request
        if matching is None:
            return request.resource
        found: Resource | None = matching.resource(
            self._target,
            request.name,
            request.obj,
            request.old,
            self._labels_of,
            self._others,
            all_without_rules=all_without_rules,
        )
        return found

    async def _params(self, kind: Resource, binding: Binding) -> list[Obj | None]:
        """Raises ApiError, NoParams."""
        reference = binding.params
        if reference is None:
            return [None]
        registry = self._environment.registry
        namespace = param_namespace(kind, reference, self._target.namespace)
        collection = registry.collection(kind)
        if name := reference.get("name"):
            item = collection.get(namespace, name)
            items = [] if item is None else [item]
        else:
            selector = LabelSelector.from_object(reference.get("selector") or {})
            items = [each for each in collection.items(namespace) if selector.matches(_labels(each.head))]
        if not items and reference.get("parameterNotFoundAction") == "Deny":
            raise NoParams("no params found for policy binding with `Deny` parameterNotFoundAction")
        await registry.prepare(kind, items)
        return [registry.decoded(kind, each) for each in items]

    def variables(self, applicable: Applicable[P]) -> dict[str, Any]:
        """What expressions see. Raises NotFound for a namespace that isn't there."""
        request = self._request
        question = self._question(applicable.resource)
        if self._asking is None:
            self._asking = authorization(self._environment, request)
        namespace = None
        if request.namespace and request.resource != NAMESPACES:
            namespace = self._environment.registry.object(NAMESPACES, "", request.namespace)
            namespace["metadata"].pop("managedFields", None)
        return {
            "object": question.obj,
            "oldObject": question.old,
            "request": question.request(),
            "namespaceObject": namespace,
            "params": applicable.params,
            **self._asking,
        }


def subject(request: Request) -> str:
    """The name by which a refusal calls the object."""
    named: Iterator[str] = (
        (each.get("metadata") or {}).get("generateName") or "" for each in (request.obj,) if each
    )
    return request.name or next(named, "") or "Unknown"


def _labels(head: Any) -> Any:
    metadata = head["metadata"]
    return metadata.get("labels") if isinstance(metadata, dict) else None
