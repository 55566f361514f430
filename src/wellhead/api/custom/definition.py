"""A CustomResourceDefinition as what is served of it: a resource for each version, with its kind's rules.

Of a definition's JSON, all but the schemas is read when it comes; a schema when an object of it is met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from wellhead.api.custom.columns import printer_of
from wellhead.api.custom.strategy import Converter, CustomStrategy, SameFields
from wellhead.api.kind import Kind
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.versions import version_place

_NEVER = 1 << 63
_WHILE_ENDING = ("delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ALWAYS = ("create", *_WHILE_ENDING)


class Version(msgspec.Struct, rename="camel", gc=False):
    """Of spec.versions, without the schema."""

    name: str
    served: bool = False
    storage: bool = False
    deprecated: bool = False
    deprecation_warning: str | None = None
    subresources: dict[str, Any] = {}
    selectable_fields: list[dict[str, str]] = []
    additional_printer_columns: list[dict[str, Any]] = []


class Names(msgspec.Struct, rename="camel", gc=False):
    plural: str = ""
    singular: str = ""
    kind: str = ""
    list_kind: str = ""
    short_names: list[str] = []
    categories: list[str] = []


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, rename="camel", gc=False):
    accepted_names: Names = msgspec.field(default_factory=Names)
    conditions: list[_Condition] = []


class _Spec(msgspec.Struct, rename="camel", gc=False):
    group: str
    names: Names
    scope: str
    versions: list[Version]
    conversion: dict[str, Any] = {}


class _Metadata(msgspec.Struct, rename="camel", gc=False):
    name: str
    generation: int = 0
    deletion_timestamp: str | None = None


class Definition(msgspec.Struct, gc=False):
    """All of a definition but its schemas."""

    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def storage_prefix(self) -> str:
        return f"{self.spec.group}/{self.spec.names.plural}"

    @property
    def is_established(self) -> bool:
        """Whether it has objects to be asked for."""
        return any(each.type == "Established" and each.status == "True" for each in self.status.conditions)

    @property
    def storage_version(self) -> str:
        return next(each.name for each in self.spec.versions if each.storage)


read_definition = msgspec.json.Decoder(Definition).decode


class _SchemaOf(msgspec.Struct, gc=False):
    name: str
    schema: dict[str, msgspec.Raw] = {}


class _SchemasSpec(msgspec.Struct, gc=False):
    versions: list[_SchemaOf]


class _Schemas(msgspec.Struct, gc=False):
    spec: _SchemasSpec


_read_schemas = msgspec.json.Decoder(_Schemas).decode


def schema_of(data: bytes, version: str) -> Obj:
    """The schema of a version, from a definition's JSON."""
    for each in _read_schemas(data).spec.versions:
        if each.name == version and "openAPIV3Schema" in each.schema:
            schema: Obj = msgspec.json.decode(each.schema["openAPIV3Schema"])
            return schema
    return {}


def resources_of(
    definition: Definition,
    load_schema: Callable[[str], Obj],
    *,
    current_from: int = 0,
    converter: Converter | None = None,
) -> dict[str, Resource]:
    """The resources of a definition, by version: those that are served."""
    found = {
        version.name: _resource(
            definition, version, load_schema, current_from=current_from, converter=converter or SameFields()
        )
        for version in definition.spec.versions
        if version.served
    }
    versions = {each.api_version: each.custom for each in found.values() if each.custom is not None}
    for kind in versions.values():
        assert isinstance(kind.strategy, CustomStrategy)
        kind.strategy.versions = versions
    return found


def _resource(
    definition: Definition,
    version: Version,
    load_schema: Callable[[str], Obj],
    *,
    current_from: int,
    converter: Converter,
) -> Resource:
    spec = definition.spec
    accepted = definition.status.accepted_names
    names = accepted if accepted.kind else spec.names
    api_version = f"{spec.group}/{version.name}"
    bare = Resource(
        spec.group,
        version.name,
        names.kind,
        spec.names.plural,
        namespaced=spec.scope == "Namespaced",
        short_names=tuple(names.short_names),
        categories=tuple(names.categories),
        verbs=_WHILE_ENDING if definition.metadata.deletion_timestamp else _ALWAYS,
        subresources=frozenset(version.subresources),
        field_labels=tuple(each["jsonPath"].removeprefix(".") for each in version.selectable_fields),
        strict_field_labels=True,
        stored_as=definition.storage_prefix,
        singular_name=names.singular,
        list_name=names.list_kind,
        deprecation=_deprecation(version, spec, names.kind),
    )
    strategy = CustomStrategy(
        api_version,
        f"{spec.group}/{definition.storage_version}",
        version.subresources,
        lambda: load_schema(version.name),
        # What another version wrote may lack what this one defaults, or have what it doesn't know.
        current_from=current_from if len(spec.versions) == 1 else _NEVER,
        converter=converter,
    )
    printer = printer_of(version.additional_printer_columns)
    return bare.of_kind(Kind(bare, strategy, printer, custom_fields=strategy.field_types))


def _deprecation(version: Version, spec: _Spec, kind: str) -> str:
    """What using the version is warned of: what to use instead, if anything newer is served."""
    if not version.deprecated:
        return ""
    if version.deprecation_warning:
        return version.deprecation_warning
    place = version_place(version.name)
    others = (each.name for each in spec.versions if each.served and not each.deprecated)
    newer = sorted((each for each in others if version_place(each) < place), key=version_place)
    instead = f"; use {spec.group}/{newer[0]} {kind}" if newer else ""
    return f"{spec.group}/{version.name} {kind} is deprecated{instead}"
