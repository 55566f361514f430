"""Variables from files that a pod's own containers have written (`fileKeyRef`, KEP-3721).

The form is a part of a shell's: NAME='VALUE', of one or more lines, and comments.
Source: "Define Environment Variable Values Using An Init Container"; pkg/kubelet/util/env of v1.36. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

_BLANK = " \t"


class EnvFileError(ValueError):
    """A file that isn't of this form; the message names the line."""


def value(text: str, name: str) -> str:
    """The value of the first variable of this name; "" if there is none.

    Raises EnvFileError for what is wrong up to there.
    """
    return next((found for each, found in _variables(text) if each == name), "")


def _variables(text: str) -> Iterator[tuple[str, str]]:
    lines = enumerate(text.split("\n"), 1)
    for number, line in lines:
        line = line.removesuffix("\r").lstrip(_BLANK)
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        if not equals:
            raise _wrong(number, "missing '='")
        if not name.strip(_BLANK):
            raise _wrong(number, "empty variable name")
        if name != name.rstrip(_BLANK):
            raise _wrong(number, "whitespace before '=' is not allowed")
        if rest.startswith(tuple(_BLANK)):  # as in a shell, the value ends before it begins
            yield name, ""
        elif rest.startswith("'"):
            yield name, _quoted(rest[1:], number, lines)
        else:
            raise _wrong(number, "value must be enclosed in single quotes")


def _quoted(rest: str, number: int, lines: Iterator[tuple[int, str]]) -> str:
    parts = []
    begun = number
    while "'" not in rest:
        parts.append(rest)
        number, rest = next(lines, (0, ""))
        if not number:
            raise EnvFileError(
                f"invalid environment variable format starting at line {begun}: unclosed single quote"
            )
    last, _, after = rest.partition("'")
    after = after.strip(_BLANK + "\r")
    if after and not after.startswith("#"):
        raise _wrong(number, "unexpected content after closing quote")
    return "\n".join([*parts, last])


def _wrong(number: int, what: str) -> EnvFileError:
    return EnvFileError(f"invalid environment variable format at line {number}: {what}")
