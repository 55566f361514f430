"""The policies that are bound, with their bindings, kept by change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from wellhead.api.meta import Obj
from wellhead.api.policies.policy import Binding
from wellhead.api.policies.validation import Policy
from wellhead.api.resource import Resource
from wellhead.api.webhooks.matching import Target
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.request import Request
from wellhead.apiserver.webhooks.hooks import other_names
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event

P = TypeVar("P", bound=Policy)
Bound = tuple[tuple[P, tuple[Binding, ...]], ...]
_MOST_KEPT = 4096


class Policies(Generic[P]):
    """Those of one kind."""

    def __init__(
        self, environment: Environment, policies: Resource, bindings: Resource, make: Callable[[Obj], P]
    ) -> None:
        cache = environment.registry.cache
        self._kinds = environment.kinds
        self._make = make
        self._policies: dict[str, P] = {}
        self._bindings: dict[str, Binding] = {}
        self._bound: Bound[P] = ()
        """In the order in which they are asked: by name. One without a binding isn't asked."""
        self._concerned: dict[tuple[str, str, str, str, str, int], Bound[P]] = {}
        of_policies, of_bindings = cache[policies.storage_prefix], cache[bindings.storage_prefix]
        for item in of_policies.items():
            self._policies[item.name] = make(decode(item.data))
        for item in of_bindings.items():
            self._bindings[item.name] = Binding.of(decode(item.data))
        self._arrange()
        of_policies.observe(self._policy_changed)
        of_bindings.observe(self._binding_changed)

    def concerned(self, request: Request) -> Bound[P]:
        """Those whose rules name what the request is about.

        Remembered, since most requests are about what no policy is for.
        """
        if not self._bound:
            return ()
        resource, changes = request.resource, self._kinds.changes
        named = (resource.group, resource.version, resource.plural)
        key = (request.operation, *named, request.subresource, changes)
        found = self._concerned.get(key)
        if found is None:
            others = other_names(self._kinds, request)
            target = Target(request.operation, resource, request.subresource, "")
            found = tuple(
                (policy, bindings)
                for policy, bindings in self._bound
                if policy.matching is None or policy.matching.may_concern(target, others)
            )
            if len(self._concerned) >= _MOST_KEPT:
                self._concerned.clear()
            self._concerned[key] = found
        return found

    def _policy_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._policies.pop(event.item.name, None)
        else:
            self._policies[event.item.name] = self._make(decode(event.item.data))
        self._arrange()

    def _binding_changed(self, event: Event) -> None:
        if event.type == "DELETED":
            self._bindings.pop(event.item.name, None)
        else:
            self._bindings[event.item.name] = Binding.of(decode(event.item.data))
        self._arrange()

    def _arrange(self) -> None:
        of: dict[str, list[Binding]] = {}
        for _, binding in sorted(self._bindings.items()):
            of.setdefault(binding.policy, []).append(binding)
        self._concerned.clear()
        self._bound = tuple(
            (policy, tuple(of[name])) for name, policy in sorted(self._policies.items()) if name in of
        )
