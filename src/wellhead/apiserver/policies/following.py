"""The policies that are bound, with their bindings, kept by change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from wellhead.api.meta import Obj
from wellhead.api.policies.policy import Binding
from wellhead.api.policies.validation import Policy
from wellhead.api.resource import Resource
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import decode
from wellhead.storage.event_log import Event

P = TypeVar("P", bound=Policy)


class Policies(Generic[P]):
    """Those of one kind. `cache` has started."""

    def __init__(
        self, cache: WatchCache, policies: Resource, bindings: Resource, make: Callable[[Obj], P]
    ) -> None:
        self._make = make
        self._policies: dict[str, P] = {}
        self._bindings: dict[str, Binding] = {}
        self.bound: tuple[tuple[P, tuple[Binding, ...]], ...] = ()
        """In the order in which they are asked: by name. One without a binding isn't asked."""
        of_policies, of_bindings = cache[policies.storage_prefix], cache[bindings.storage_prefix]
        for item in of_policies.items():
            self._policies[item.name] = make(decode(item.data))
        for item in of_bindings.items():
            self._bindings[item.name] = Binding.of(decode(item.data))
        self._arrange()
        of_policies.observe(self._policy_changed)
        of_bindings.observe(self._binding_changed)

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
        self.bound = tuple(
            (policy, tuple(of[name])) for name, policy in sorted(self._policies.items()) if name in of
        )
