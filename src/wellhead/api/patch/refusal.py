"""What is said of a patch that makes something of an object which is none of its kind.

Upstream: the API server's handlers/patch.go. It shows the patched object of a JSON or merge patch, and the
patch itself, as Go prints maps, of a strategic one, of which it also says otherwise what is of a wrong type.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from wellhead.api.errors import Cause, Invalid, Undecodable

_FRACTION = re.compile(r"json: cannot unmarshal number \S+ into Go value of type (u?int\d+)")
_WRONG = re.compile(r"json: cannot unmarshal (\w+) into Go struct field \S+ of type (string|bool|u?int\d*)")


def refused(error: Undecodable, patched: Any) -> Invalid:
    """Of a JSON or merge patch: its result."""
    return _invalid(msgspec.json.encode(patched).decode(), error.why)


def refused_strategic(error: Undecodable, patch: Any) -> Invalid:
    """Of a strategic merge patch."""
    wrong = _WRONG.fullmatch(error.why)
    why = error.why
    if wrong is not None:
        number_as_text = wrong[1] == "number" and wrong[2] == "string"
        why = "cannot convert int64 to string" if number_as_text else f"unrecognized type: {wrong[2]}"
    elif fraction := _FRACTION.fullmatch(error.why):
        why = f"cannot convert float64 to {fraction[1]}"
    return _invalid(as_go_prints(patch), why)


def _invalid(value: str, why: str) -> Invalid:
    return Invalid.of("", "", "", [Cause.invalid("patch", value, why)])


def as_go_prints(value: Any) -> str:
    """A value of JSON as Go's %+v: `map[a:1 b:[x <nil>]]`."""
    match value:
        case dict():
            return "map[" + " ".join(f"{key}:{as_go_prints(value[key])}" for key in sorted(value)) + "]"
        case list():
            return "[" + " ".join(map(as_go_prints, value)) + "]"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
    return str(value)
