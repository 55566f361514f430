"""Which custom kinds are served at this moment: what the stored definitions say.

A definition is read when it changes, without its schemas; those are read when the first object is met. So
two hundred definitions cost a server that nobody asks for their objects little, and built-in kinds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wellhead.api import resources
from wellhead.api.custom.definition import Definition, read_definition, resources_of, schema_of
from wellhead.api.custom.strategy import Converter
from wellhead.api.resource import Resource
from wellhead.api.resources import CUSTOMRESOURCEDEFINITIONS
from wellhead.storage.cache import WatchCache
from wellhead.storage.event_log import Event, Item

MakeConverter = Callable[[Definition], Converter]


@dataclass
class Defined:
    """A definition, and what is served of it."""

    item: Item
    definition: Definition
    current_from: int
    """The revision from which on its objects were stored by the schemas that it has now."""
    resources: dict[str, Resource] = field(default_factory=dict)


class CustomKinds:
    """Follows the definitions. What it answers is true of the moment."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._defined: dict[str, Defined] = {}
        """By the storage prefix of their objects: a group and a plural have one definition."""
        self._make_converter: MakeConverter | None = None
        self.gone: Callable[[str, str], None] | None = None
        """Is told the group and plural of a definition that was deleted."""
        self.changes = 0
        """How often what is served has changed: what was made of it for an older number is old."""

    def start(self, make_converter: MakeConverter | None = None) -> None:
        """Read what is there, and follow it. The cache has to be loaded."""
        self._make_converter = make_converter
        collection = self._cache[CUSTOMRESOURCEDEFINITIONS.storage_prefix]
        for item in collection.items(""):
            self._learn(item, None)
        collection.observe(self._changed)

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource that a URL names, built in or custom."""
        built_in = resources.lookup(group, version, plural)
        if built_in is not None:
            return built_in
        defined = self._defined.get(f"{group}/{plural}")
        return None if defined is None else defined.resources.get(version)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The custom resource whose objects carry this apiVersion and kind, if it is served."""
        for defined in self._defined.values():
            for resource in defined.resources.values():
                if resource.kind == kind and resource.api_version == api_version:
                    return resource
        return None

    def all(self) -> Iterator[Resource]:
        """Every custom resource: by groups, and in a group by versions, as discovery shows them."""
        for _, defined in sorted(self._defined.items()):
            yield from defined.resources.values()

    def defined(self, resource: Resource) -> Defined | None:
        """The definition of a custom resource, while there is one."""
        return self._defined.get(resource.storage_prefix)

    def groups(self) -> set[str]:
        return {defined.definition.spec.group for defined in self._defined.values() if defined.resources}

    def _changed(self, event: Event) -> None:
        if event.type == "DELETED":
            definition = read_definition(event.item.data)
            self._forget(definition)
        else:
            self._learn(event.item, event.previous)

    def _learn(self, item: Item, previous: Item | None) -> None:
        definition = read_definition(item.data)
        known = self._defined.get(definition.storage_prefix)
        same_spec = (
            known is not None
            and known.definition.metadata.generation == definition.metadata.generation
            and known.definition.metadata.name == definition.metadata.name
        )
        current_from = known.current_from if known is not None and same_spec else item.revision
        made: dict[str, Resource] = {}
        if definition.is_established:
            if known is not None and same_spec and known.definition.status == definition.status:
                made = known.resources
            else:
                converter = self._make_converter(definition) if self._make_converter else None
                made = resources_of(
                    definition,
                    lambda version, data=item.data: schema_of(data, version),  # type: ignore[misc]
                    current_from=current_from,
                    converter=converter,
                )
        self._defined[definition.storage_prefix] = Defined(item, definition, current_from, made)
        if known is None or known.resources is not made:
            self.changes += 1
        if known is not None and known.resources and not same_spec:
            # As upstream: who watches begins anew, and sees the objects as they are to be now.
            self._cache[definition.storage_prefix].close()

    def _forget(self, definition: Definition) -> None:
        self._defined.pop(definition.storage_prefix, None)
        self.changes += 1
        self._cache[definition.storage_prefix].close()
        if self.gone is not None:
            self.gone(definition.spec.group, definition.spec.names.plural)
