"""An object's bytes.

An object is encoded once, when it is written, and these bytes serve every later read and watch. They start
with apiVersion, kind and metadata, and lack the resourceVersion, which is only known once the write has
happened: `with_revision` puts it in as metadata's first field, without decoding.
"""

from __future__ import annotations

import msgspec

from wellhead.api.meta import Obj

_METADATA = b'"metadata":{'
_REVISION = b'"resourceVersion":"'

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode


def encode(obj: Obj) -> bytes:
    """The bytes to store. `obj` has apiVersion, kind, and a metadata with a name; it is left as it is."""
    metadata = {field: value for field, value in obj["metadata"].items() if field != "resourceVersion"}
    head = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    return encode_json(head | {field: value for field, value in obj.items() if field not in head})


def with_revision(value: bytes, revision: int) -> bytes:
    """The object's JSON as clients get it, from the bytes that `encode` made."""
    at = value.index(_METADATA) + len(_METADATA)
    return b'%b"resourceVersion":"%d",%b' % (value[:at], revision, value[at:])


def without_revision(data: bytes) -> bytes:
    """What `with_revision` was given."""
    at = data.index(_METADATA) + len(_METADATA)
    end = data.index(b'",', at + len(_REVISION)) + 2
    return data[:at] + data[end:]


def decode(data: bytes) -> Obj:
    """A fresh copy of the object, which may be changed."""
    obj: Obj = decode_json(data)
    return obj
