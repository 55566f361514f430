"""What is wrong with a JSON text, in the words of Go's decoder, which clients show."""

from __future__ import annotations

import json
import re

from wellhead.text import quoted

_ENDED = "unexpected end of JSON input"
_SPACE = " \t\r\n"
_PLACES = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting value": "looking for beginning of value",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
}
_AFTER = {"{": "after object key:value pair", "[": "after array element"}


def syntax_problem(body: bytes, otherwise: str) -> str:
    """Of a text that isn't JSON; `otherwise` if Python's decoder finds nothing that Go's would."""
    text = body.decode(errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _in_go(text, error) or otherwise
    except (ValueError, RecursionError):
        return otherwise
    return otherwise


_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S)
_UNKNOWN = rb"\ufffd"


def with_replacements(body: bytes) -> bytes:
    """A JSON text with U+FFFD for what is no UTF-8, and for halves of surrogate pairs: so Go reads them."""
    text = body.decode(errors="replace").encode()
    return _ESCAPE.sub(lambda found: _UNKNOWN if found[1] else found[0], text)


def _in_go(text: str, error: json.JSONDecodeError) -> str:
    at = error.pos
    if error.msg.startswith("Unterminated string"):
        return _ENDED
    if error.msg.startswith("Invalid \\escape"):
        return f"invalid character {_shown(text[at + 1])} in string escape code" if text[at + 1 :] else _ENDED
    if error.msg.startswith("Invalid \\u"):
        return "invalid character in \\u hexadecimal character escape"
    while at < len(text) and text[at] in _SPACE and not error.msg.startswith("Invalid control"):
        at += 1
    if at >= len(text):
        return _ENDED
    place = _PLACES.get(error.msg) or _AFTER.get(_around(text[:at]), "")
    return f"invalid character {_shown(text[at])} {place}" if place else ""


def _around(text: str) -> str:
    """The bracket that is open at the end of a text."""
    opened: list[str] = []
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "{[":
            opened.append(character)
        elif character in "}]" and opened:
            opened.pop()
    return opened[-1] if opened else ""


def _shown(character: str) -> str:
    """As Go quotes a character."""
    if character in "'\\":
        return f"'\\{character}'"
    return "'\"'" if character == '"' else f"'{quoted(character)[1:-1]}'"
