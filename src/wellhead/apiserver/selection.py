"""Which objects a list, a watch or a deletecollection is about."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.selectors import FieldSelector, LabelSelector
from wellhead.apiserver.call import Call
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.event_log import Item
from wellhead.storage.watcher import Predicate


@dataclass(frozen=True, slots=True)
class Selection:
    """`namespace` None: all. `matches` None: everything there. `name` is the only one that can match."""

    namespace: str | None
    name: str | None
    matches: Predicate | None
    converted: bool = False
    """Whether `matches` speaks of objects of the client's version, which have to be prepared for it."""


def selection(call: Call, registry: Registry) -> Selection:
    """What the call's path and selectors select. Raises BadRequest."""
    resource = call.resource
    namespace = call.info.namespace or None if resource.namespaced else ""
    labels = LabelSelector.parse(call.query.get("labelSelector", ""), call.limits)
    wanted = call.query.get("fieldSelector", "")
    if call.info.verb == "watch" and call.info.name:  # by its path, as it was asked for once
        wanted = f"metadata.name={call.info.name}" + (f",{wanted}" if wanted else "")
    fields = FieldSelector.parse(wanted, resource, call.limits)
    name = fields.exact("metadata.name")
    if labels.is_everything and fields.is_everything:
        return Selection(namespace, None, None)

    # Field selectors speak of the fields of the client's version; metadata are the same in all.
    converts = bool(resource.stored_as) and any(
        not term.field.startswith("metadata.") for term in fields.terms
    )

    def matches(item: Item) -> bool:
        head = registry.decoded(resource, item) if converts else item.head
        metadata = head["metadata"]
        assert isinstance(metadata, dict)
        return (labels.is_everything or labels.matches(metadata.get("labels"))) and fields.matches(head)

    return Selection(namespace, name, matches, converts and resource.custom is not None)
