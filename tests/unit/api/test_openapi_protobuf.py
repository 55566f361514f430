"""The OpenAPI v2 document in Protobuf, decoded by hand: kubectl's own reading is tested on a cluster."""

from __future__ import annotations

from wellhead.api.openapi.protobuf import encode_v2


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
