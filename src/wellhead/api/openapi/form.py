"""The two forms of OpenAPI, 2 and 3: where they write the same thing differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from wellhead.api.definitions import INT_OR_STRING, QUANTITY, json_type, reference
from wellhead.api.meta import Obj
from wellhead.api.openapi.defaults import add_defaults
from wellhead.api.openapi.enums import add_enums

# What describes JSON Schema validation, not the API: closed objects, the fixed apiVersion and kind.
_DROPPED = frozenset({"enum", "$ref", "type", "properties", "items", "additionalProperties", "oneOf"})
_JSON_TYPES = ("application/json", "application/yaml")
_STREAM = "application/json;stream=watch"
_CODES = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}


class Body(NamedTuple):
    """What a request brings: a definition, in any of these media types."""

    definition: str
    types: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class Form:
    """Writes schemas, parameters, bodies and answers in one version of OpenAPI."""

    version: int

    def ref(self, name: str) -> Obj:
        prefix = "#/definitions/" if self.version == 2 else "#/components/schemas/"
        return {"$ref": prefix + name}

    def schemas(self, definitions: Mapping[str, Obj]) -> dict[str, Obj]:
        return {name: self.definition(name, definitions[name]) for name in sorted(definitions)}

    def definition(self, name: str, schema: Obj) -> Obj:
        """A definition of the data, in OpenAPI's form."""
        if name in (QUANTITY, INT_OR_STRING):
            return self._string_or_number(schema, "integer" if name == INT_OR_STRING else "number")
        written = self._schema(schema)
        add_enums(name, written)
        if self.version == 3:
            add_defaults(name, schema, written)
        return written

    def parameter(self, name: str, where: str, kind: str, description: str) -> Obj:
        """`where` is path or query, `kind` a JSON type."""
        written: Obj = {"name": name, "in": where, "description": description}
        if where == "path":
            written["required"] = True
        shape = {"type": kind, "uniqueItems": True}
        return written | (shape if self.version == 2 else {"schema": shape})

    def operation(
        self, parameters: list[Obj], body: Body | None, answer: str, codes: tuple[str, ...], *, streams: bool
    ) -> Obj:
        """What is answered is a definition, with any of these codes; '' is text. A list can be a stream."""
        schema = self.ref(answer) if answer else {"type": "string"}
        produced = (*_JSON_TYPES, *([_STREAM] if streams else [])) if answer else ("text/plain",)
        told: Obj = {"schema": schema} if self.version == 2 else {"content": {
            kind: {"schema": schema} for kind in produced
        }}  # fmt: skip
        answers: Obj = {code: {"description": _CODES[code], **told} for code in codes}
        answers["401"] = {"description": _CODES["401"]}
        if self.version == 2:
            said: list[Obj] = []
            if body is not None:
                required = {"required": True} if body.required else {}
                said = [{"name": "body", "in": "body", **required, "schema": self.ref(body.definition)}]
            return {
                "consumes": ["*/*"] if body is None else list(body.types),
                "produces": list(produced) if streams else list(_JSON_TYPES),
                "parameters": parameters + said,
                "responses": answers,
            }
        written: Obj = {"parameters": parameters, "responses": answers}
        if body is not None:
            content = {kind: {"schema": self.ref(body.definition)} for kind in body.types}
            written["requestBody"] = {"content": content} | ({"required": True} if body.required else {})
        return written

    def _schema(self, schema: Obj) -> Obj:
        kept: Obj = {name: value for name, value in schema.items() if name not in _DROPPED}
        if target := reference(schema):
            if self.version == 2 or not kept:
                return kept | self.ref(target)
            return kept | {"allOf": [self.ref(target)]}  # beside $ref, OpenAPI 3.0 allows nothing
        if kind := json_type(schema):
            kept["type"] = kind
        if "properties" in schema:
            kept["properties"] = {name: self._schema(value) for name, value in schema["properties"].items()}
        if "items" in schema:
            kept["items"] = self._schema(schema["items"])
        if isinstance(values := schema.get("additionalProperties"), dict):
            kept["additionalProperties"] = self._schema(values)
        return kept

    def _string_or_number(self, schema: Obj, number: str) -> Obj:
        kept: dict[str, Any] = {"description": schema["description"]} if "description" in schema else {}
        if self.version == 2:
            return kept | {"type": "string"} | ({"format": "int-or-string"} if number == "integer" else {})
        return kept | {"oneOf": [{"type": "string"}, {"type": number}]}
