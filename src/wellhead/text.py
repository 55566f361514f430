"""Text that others wrote, for places where people read it."""

from __future__ import annotations

import unicodedata

# Control characters, those that turn the direction of writing, halves of characters, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str, *, lines: bool = False) -> str:
    """The text with what isn't seen but acts on a terminal, a log or a header written as an escape (`\\x1b`).

    With `lines`, newlines and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if _seen(char) or (lines and char in "\n\t") else char.encode("unicode_escape").decode()
        for char in text
    )


def _seen(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) not in _UNSEEN


def quoted(text: str) -> str:
    """As Go's strconv.Quote (%q) writes it, which Kubernetes' messages use."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return (
        f'"{"".join(_SPECIAL.get(char) or (char if char.isprintable() else _escape(char)) for char in text)}"'
    )


_SPECIAL = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def go_type(value: object) -> str:
    """What Go calls the type of a value of JSON that it has read as any: `map[string]interface {}`."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int64"
        case float():
            return "float64"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
        case list():
            return "[]interface {}"
    return "%!s(<nil>)"
