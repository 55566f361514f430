"""The rules of a custom kind in one of its versions, in the places where built-in kinds have theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Protocol

from wellhead.api.custom import lists, rules, values
from wellhead.api.custom.metadata import check_embedded
from wellhead.api.custom.schemas import has
from wellhead.api.custom.validation import MOST_CAUSES, blocks_rules, validate
from wellhead.api.errors import Cause, InternalError
from wellhead.api.kind import Kind
from wellhead.api.managed_fields.types import Type, custom_type
from wellhead.api.meta import Obj
from wellhead.api.strategy import ALWAYS_APART, Context, Strategy
from wellhead.text import quoted

_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_MOST_REPLICAS = (1 << 31) - 1
_UNCHECKED = Cause(
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the "
    "existing errors to complete validation",
)


class Converter(Protocol):
    """How objects become ones of another version."""

    def convert(self, obj: Obj, api_version: str) -> Obj:
        """`obj` in that version; it may be changed. Raises ApiError."""
        ...

    async def prepare(self, objects: Iterable[Obj], api_version: str) -> None:
        """Make ready to convert these. Raises ApiError."""
        ...


class NotAsked(InternalError):
    """Whoever converts has to be asked first how this object looks in that version."""

    def __init__(self, converter: Converter, obj: Obj, api_version: str) -> None:
        super().__init__(
            f"conversion webhook for {obj['apiVersion']}, Kind={obj['kind']} has not been asked yet"
        )
        self._converter, self._obj, self._api_version = converter, obj, api_version

    async def ask(self) -> None:
        """Raises ApiError."""
        await self._converter.prepare([self._obj], self._api_version)


class SameFields:
    """Conversion strategy None: versions differ in their names alone."""

    def convert(self, obj: Obj, api_version: str) -> Obj:
        return {**obj, "apiVersion": api_version}

    async def prepare(self, objects: Iterable[Obj], api_version: str) -> None:
        """There is nothing to ask."""


class CustomStrategy(Strategy):
    """Of one version of a CustomResourceDefinition."""

    status_metadata = frozenset()
    needs_version = True

    def __init__(
        self,
        api_version: str,
        stored_version: str,
        subresources: Obj,
        load_schema: Callable[[], Obj],
        *,
        current_from: int,
        converter: Converter,
    ) -> None:
        """Both versions with their group. `current_from` is the revision from which on objects were stored by
        the schemas that are now. The schema is loaded when it is needed."""
        self.api_version = api_version
        self._stored_version = stored_version
        self._load_schema = load_schema
        self._current_from = current_from
        self.converter = converter
        self.versions: dict[str, Kind] = {}
        """This kind in every version that is served, by apiVersion."""
        self.scale: Obj | None = subresources.get("scale")
        self._stored_so = f'{{"apiVersion":"{api_version}"'.encode()

    @cached_property
    def schema(self) -> Obj:
        """JSONSchemaProps, as the definition has them."""
        return self._load_schema()

    @property
    def effort(self) -> int:
        return ALWAYS_APART if self._has_rules else 1

    @cached_property
    def _has_rules(self) -> bool:
        return has(self.schema, rules.RULES)

    @cached_property
    def _rules(self) -> rules.Node | None:
        return rules.compile_rules(self.schema)

    def field_types(self) -> Type:
        """What server-side apply knows of the fields."""
        return custom_type(self.schema)

    @property
    def asks(self) -> bool:
        """Whether somebody has to be asked about objects of other versions before they are looked at."""
        return not isinstance(self.converter, SameFields)

    @property
    def is_stored(self) -> bool:
        """Whether objects are stored in this version."""
        return self.api_version == self._stored_version

    async def prepare_reading(self, objects: Iterable[Obj]) -> None:
        """Before `from_storage` of these. Raises ApiError."""
        await self.converter.prepare(objects, self.api_version)

    async def prepare_storing(self, obj: Obj) -> None:
        """Before `to_storage`. Raises ApiError."""
        await self.converter.prepare([obj], self._stored_version)

    def is_current(self, data: bytes, revision: int) -> bool:
        """Whether a stored object is one of this version as it stands."""
        return revision > self._current_from and data.startswith(self._stored_so)

    def is_outdated(self, data: bytes) -> bool:
        return not data.startswith(b'{"apiVersion":"%b"' % self._stored_version.encode())

    def warnings(self, obj: Obj) -> list[str]:
        """What finalizers that might be somebody else's are called better."""
        found = []
        for finalizer in sorted(set(obj["metadata"].get("finalizers") or ())):
            if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
                path = " including a path (/)" if "." in finalizer else ""
                better = f"prefer a domain-qualified finalizer name{path} to avoid accidental conflicts"
                found.append(
                    f"metadata.finalizers: {quoted(finalizer)}: {better} with other finalizer writers"
                )
        return found

    def default(self, obj: Obj) -> None:
        values.apply_defaults(obj, self.schema)

    def prepare_create(self, obj: Obj, context: Context) -> None:
        obj["metadata"]["generation"] = 1
        self._fit(obj)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        self._fit(new)
        if _content(new) != _content(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        kept = ("resourceVersion", "managedFields")
        sent = {name: new["metadata"][name] for name in kept if name in new["metadata"]}
        new["metadata"] = {**old["metadata"], **sent}

    def validate(self, obj: Obj) -> list[Cause]:
        return self._problems(obj, None)

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        return self._problems(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        schema = (self.schema.get("properties") or {}).get("status") or {}
        causes: list[Cause] = []
        if "status" in new:
            before = {"old": old["status"]} if "status" in old else {}
            causes = validate(new["status"], schema, path="status", **before)
        causes += self._scale_problems(new, "status")
        causes += check_embedded(new, self.schema)
        return self._with_rules(causes, new, old)

    def to_storage(self, obj: Obj) -> Obj:
        if self.api_version == self._stored_version:
            return obj
        return self.converter.convert(obj, self._stored_version)

    def from_storage(self, obj: Obj) -> Obj:
        if obj["apiVersion"] != self.api_version:
            obj = self.converter.convert(obj, self.api_version)
        self._fit(obj)
        return obj

    def _fit(self, obj: Obj) -> None:
        values.apply_defaults(obj, self.schema)
        values.prune(obj, self.schema, resource=True)

    def _problems(self, obj: Obj, old: Obj | None) -> list[Cause]:
        before: dict[str, Any] = {} if old is None else {"old": old}
        causes = validate(obj, self.schema, **before)
        causes += self._scale_problems(obj, "spec") + self._scale_problems(obj, "status")
        causes += check_embedded(obj, self.schema)
        if old is None or not lists.duplicates(old, self.schema):
            causes += lists.duplicates(obj, self.schema)
        return self._with_rules(causes, obj, old)

    def _with_rules(self, causes: list[Cause], obj: Obj, old: Obj | None) -> list[Cause]:
        if self._rules is None:
            return causes[: MOST_CAUSES + 1]
        if blocks_rules(causes):
            return [*causes[:MOST_CAUSES], _UNCHECKED]
        violated, _ = rules.check_rules(self._rules, obj, old)
        return causes + violated

    def _scale_problems(self, obj: Obj, part: str) -> list[Cause]:
        if self.scale is None:
            return []
        path = self.scale[f"{part}ReplicasPath"]
        number = values.at(obj, path)
        if number is None:
            return []
        if isinstance(number, bool) or not isinstance(number, int):
            kind = type(number).__name__
            return [
                Cause.invalid(
                    path, 0, f"{path} accessor error: {number} is of the type {kind}, expected int64"
                )
            ]
        if number < 0:
            return [Cause.invalid(path, number, "should be a non-negative integer")]
        if number > _MOST_REPLICAS:
            return [Cause.invalid(path, number, f"should be less than or equal to {_MOST_REPLICAS}")]
        return []


def _content(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name != "metadata"}
