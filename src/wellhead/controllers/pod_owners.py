"""Whose business a pod's change is: its controller's, or that of all who may adopt it."""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import AnyObj, Key, Obj, controller_of, key, labels
from wellhead.client.informer import Handler
from wellhead.controllers.store import Store


def owned_handler(owners: Store[Obj], enqueue: Callable[[Key], None]) -> Handler[AnyObj]:
    """A handler of what `owners` control (pods, revisions) that enqueues those whose business a change is.

    Both the controllers of the object as it was and as it is; without one, all whose selectors match.
    `owners` needs an index "namespace".
    """
    kind = owners.resource.kind

    def changed(old: AnyObj | None, new: AnyObj | None) -> None:
        for obj in (old, new):
            if obj is None:
                continue
            namespace, controller = obj["metadata"]["namespace"], controller_of(obj)
            if controller is None:
                for owner in adopters(obj, owners):
                    enqueue(key(owner))
            elif controller["kind"] == kind:
                enqueue((namespace, controller["name"]))

    return changed


def adopters(obj: AnyObj, owners: Store[Obj]) -> list[Obj]:
    """The owners in the object's namespace whose selectors match it; it needs labels for that."""
    found = labels(obj)
    if not found:
        return []
    namespace = obj["metadata"]["namespace"]
    return [each for each in owners.by_index("namespace", namespace) if selector_of(each).matches(found)]
