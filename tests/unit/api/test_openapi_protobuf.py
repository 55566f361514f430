"""OpenAPI documents in Protobuf, decoded by hand: kubectl's own reading is tested on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from wellhead.api.meta import Obj
from wellhead.api.openapi import group_paths, openapi_v2, openapi_v3
from wellhead.api.openapi.protobuf_v2 import encode_v2
from wellhead.api.openapi.protobuf_v3 import encode_v3


def document(**schema: object) -> dict[str, object]:
    return {"swagger": "2.0", "info": {"title": "T", "version": "1"}, "definitions": {"D": schema}}


def test_a_definition_is_a_named_schema_in_field_nine() -> None:
    schema = b"\xb2\x01\x08\x0a\x06string"  # field 22 (type): TypeItem{value: "string"}
    named = b"\x0a\x01D\x12" + bytes([len(schema)]) + schema
    definitions = b"\x0a" + bytes([len(named)]) + named
    expected = (
        b"\x0a\x032.0" + b"\x12\x06\x0a\x01T\x12\x011" + b"\x4a" + bytes([len(definitions)]) + definitions
    )
    assert encode_v2(document(type="string")) == expected


def test_a_length_over_127_takes_two_bytes() -> None:
    assert b"\x22\xac\x02" + b"x" * 300 in encode_v2(document(description="x" * 300))


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: (number, bytes, or an integer)."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        number, wire = divmod(varint(), 8)
        length = varint()
        if wire == 0:
            yield number, length
            continue
        assert wire == 2
        yield number, data[at : at + length]
        at += length


def only(data: bytes, *path: int) -> Any:
    """What is at the end of the path of field numbers, each of which is there once."""
    for number in path:
        (data,) = (value for each, value in fields(data) if each == number)
    return data


def every(data: bytes, number: int) -> list[Any]:
    return [value for each, value in fields(data) if each == number]


def parameters(message: bytes, number: int) -> Iterator[tuple[str, str, str, bool]]:
    """(in, name, type or reference, required), from a list of `ParametersItem`."""
    for item in every(message, number):
        parameter = only(item, 1)
        body = dict(fields(parameter)).get(1)
        if body is not None:
            written = dict(fields(body))
            reference = only(written[5], 1).decode()
            yield written[3].decode(), written[2].decode(), reference, bool(written.get(4))
            continue
        ((where, inner),) = fields(only(parameter, 2))
        written = dict(fields(inner))
        kind = written[6 if where == 3 else 5].decode()
        assert written[20 if where == 3 else 19] == 1  # uniqueItems
        yield written[2].decode(), written[4].decode(), kind, bool(written.get(1))


def expected(written: list[Obj]) -> list[tuple[str, str, str, bool]]:
    return [
        (
            each["in"],
            each["name"],
            each["schema"]["$ref"] if each["in"] == "body" else each["type"],
            bool(each.get("required")),
        )
        for each in written
    ]


def test_the_paths_say_the_same_as_those_of_the_json() -> None:
    document = openapi_v2()
    encoded = encode_v2(document)
    paths = {only(each, 1).decode(): only(each, 2) for each in every(only(encoded, 8), 2)}
    assert list(paths) == list(document["paths"])
    methods = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
    for path, item in document["paths"].items():
        assert list(parameters(paths[path], 9)) == expected(item["parameters"])
        assert {number for number, _ in fields(paths[path])} - {9} == {
            number for method, number in methods.items() if method in item
        }
        for method in methods.keys() & item.keys():
            operation, message = item[method], only(paths[path], methods[method])
            assert only(message, 5).decode() == operation["operationId"]
            assert [each.decode() for each in every(message, 7)] == operation["consumes"]
            assert list(parameters(message, 8)) == expected(operation["parameters"])
            extensions = {only(each, 1).decode() for each in every(message, 13)}
            assert extensions == {name for name in operation if name.startswith("x-")}
            codes = [only(each, 1).decode() for each in every(only(message, 9), 1)]
            assert codes == list(operation["responses"])


def test_a_keyword_without_a_form_is_refused_not_left_out() -> None:
    with pytest.raises(ValueError, match="'host'"):
        encode_v2({**document(), "host": "x"})
    with pytest.raises(ValueError, match="'xml'"):
        encode_v2(document(xml="x"))


@pytest.mark.parametrize("path", group_paths())
def test_each_document_of_version_three_says_the_same_as_its_json(path: str) -> None:
    document = openapi_v3(path)
    assert document is not None
    encoded = encode_v3(document)
    schemas = {only(each, 1).decode(): only(each, 2, 1) for each in every(only(encoded, 5, 1), 1)}
    assert list(schemas) == list(document["components"]["schemas"])
    for name, schema in document["components"]["schemas"].items():
        found = [only(each, 1).decode() for each in every(next(iter(every(schemas[name], 31)), b""), 1)]
        assert found == list(schema.get("properties") or ())
        assert [each.decode() for each in every(schemas[name], 23)] == list(schema.get("required") or ())
    paths = {only(each, 1).decode(): only(each, 2) for each in every(only(encoded, 4), 1)}
    methods = {"get": 4, "put": 5, "post": 6, "delete": 7, "patch": 10}
    assert list(paths) == list(document["paths"])
    for name, item in document["paths"].items():
        for method in methods.keys() & item.keys():
            operation, message = item[method], only(paths[name], methods[method])
            assert only(message, 5).decode() == operation["operationId"]
            codes = [only(each, 1).decode() for each in every(only(message, 8), 2)]
            assert codes == list(operation["responses"])
            sent = {
                only(each, 1).decode() for each in every(message, 7) for each in every(only(each, 1, 2), 1)
            }
            assert sent == set((operation.get("requestBody") or {}).get("content") or ())


def test_schemas_of_version_three_have_references_and_choices() -> None:
    def schema(**fields: object) -> bytes:
        whole = {"openapi": "3.0.0", "info": {}, "paths": {}, "components": {"schemas": {"D": fields}}}
        return bytes(only(encode_v3(whole), 5, 1, 1, 2))

    assert schema(**{"$ref": "#/x"}) == b"\x12\x05\x0a\x03#/x"
    assert only(schema(additionalProperties=False), 1, 32) == b"\x10\x00"
    assert only(schema(default=False), 1, 33) == b"\x10\x00"
    assert only(schema(default="a"), 1, 33) == b"\x1a\x01a"
    assert only(schema(default={"a": 1}), 1, 33) == b""
    assert only(schema(items={"type": "string"}), 1, 30, 1, 1, 25) == b"string"
    with pytest.raises(ValueError, match="'xml'"):
        schema(xml="x")
