"""Types by example (`typeof`) in nft's own encoding, which the kernel keeps without looking (NFTNL_UDATA_…).

What is described by example is written so in a listing; nft 1.0.6 can't write some types otherwise. An item
is a byte of type, one of length, and the value.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_PAYLOAD, _META, _CONCAT, _NUMGEN = 7, 9, 13, 23  # enum expr_types
_KEY_ORDER, _DATA_ORDER, _MERGE, _KEY_TYPEOF, _DATA_TYPEOF, _NO_MERGE = 0, 1, 2, 3, 4, 6


def _item(type: int, value: bytes) -> bytes:
    return bytes((type, len(value))) + value


def _number(type: int, value: int) -> bytes:
    return _item(type, value.to_bytes(4, sys.byteorder))


def _expression(kind: int, value: bytes) -> bytes:
    return _number(0, kind) + _item(1, value)


def meta(key: int) -> bytes:
    return _expression(_META, _number(0, key))


def payload(protocol: int, field: int) -> bytes:
    """By the numbers that nft gives protocols and their fields."""
    return _expression(_PAYLOAD, _number(0, protocol) + _number(1, field))


def numgen(kind: int, modulus: int) -> bytes:
    return _expression(_NUMGEN, _number(0, kind) + _number(1, modulus) + _number(2, 0))


def described(key: Sequence[bytes], data: Sequence[bytes], key_order: int, data_order: int) -> bytes:
    """The userdata of a map whose key and data are described by these."""
    return (
        _number(_KEY_ORDER, key_order)
        + _number(_DATA_ORDER, data_order)
        + _item(_KEY_TYPEOF, _concat(key))
        + _item(_DATA_TYPEOF, _concat(data))
        + _number(_NO_MERGE, 0)
    )


def byte_orders(key_order: int, data_order: int | None) -> bytes:
    """The userdata of a set or map that has named types: without, nft shows 0x03000000 for 3."""
    found = _number(_KEY_ORDER, key_order)
    return found if data_order is None else found + _number(_DATA_ORDER, data_order)


def comment(text: str) -> bytes:
    """The userdata of a rule or an element with a comment."""
    return _item(0, text.encode() + b"\0")


def _concat(fields: Sequence[bytes]) -> bytes:
    if len(fields) == 1:
        return fields[0]
    return _expression(_CONCAT, b"".join(_item(index, each) for index, each in enumerate(fields)))
