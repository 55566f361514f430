"""Path elements as fieldsV1 writes them: `f:NAME`, `k:{"KEY":VALUE}`, `v:VALUE`, `i:INDEX`."""

from __future__ import annotations

from typing import Any

import msgspec

from wellhead.api.managed_fields.types import ListType
from wellhead.text import quoted

_encode = msgspec.json.Encoder(order="sorted").encode
_ZEROS: dict[str, Any] = {"string": "", "numeric": 0, "boolean": False, "untyped": None}
_KINDS = ("f:", "k:", "v:", "i:")


class NoElement(ValueError):
    """An item of a list has nothing that tells it from others."""


def item_element(known: ListType, item: Any) -> str:
    """What an item of a set or of a list map is called. Raises NoElement, in upstream's words."""
    if known.keys:
        if item is None:
            raise NoElement("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise NoElement("associative list with keys may not have non-map elements")
        found = {}
        for key in known.keys:
            if key in item:
                found[key] = item[key]
            elif key in known.defaults:
                found[key] = known.defaults[key]
            elif known.has_zeros and known.element.map is not None:
                found[key] = _ZEROS[known.element.map.fields[key].type.scalar]
        if not found:
            keys = " ".join(map(quoted, known.keys))
            raise NoElement(
                f"associative list with keys has an element that omits all key fields [{keys}]"
                " (and doesn't have default values for any key fields)"
            )
        return "k:" + _encode(found).decode()
    if isinstance(item, dict):
        raise NoElement("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise NoElement("not supported: associative list with lists as elements")
    if item is None:
        raise NoElement("associative list without keys has an element that's an explicit null")
    return "v:" + _encode(item).decode()


def normal(element: str) -> str:
    """The element as we write it: others may order keys otherwise. Raises ValueError for what is none."""
    kind = element[:2]
    if kind not in _KINDS:
        raise ValueError(f"{quoted(element)} is no path element")
    if kind in ("k:", "v:"):
        value = msgspec.json.decode(element[2:])
        if kind == "k:" and not isinstance(value, dict):
            raise ValueError(f"{quoted(element)} names no keys")
        return kind + _encode(value).decode()
    if kind == "i:":
        int(element[2:])
    return element


def shown(element: str) -> str:
    """As messages write it: `.spec`, `[port=80,protocol="TCP"]`, `[="a"]`."""
    text = element[2:]
    match element[:2]:
        case "k:":
            keys = msgspec.json.decode(text)
            return "[" + ",".join(f"{key}={_value(keys[key])}" for key in sorted(keys)) + "]"
        case "v:":
            return f"[={_value(msgspec.json.decode(text))}]"
        case "i:":
            return f"[{text}]"
    return f".{text}"


def _value(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else _encode(value).decode()
