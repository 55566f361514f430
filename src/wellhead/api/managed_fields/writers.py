"""The names of managers."""

from __future__ import annotations

from functools import lru_cache

from wellhead.api.errors import Cause

_LONGEST = 128  # bytes


@lru_cache(maxsize=256)
def manager_of(user_agent: str) -> str:
    """Who writes without naming a manager: what his User-Agent has before its first slash."""
    name = "".join(char for char in user_agent.partition("/")[0] if _is_printable(char))
    return name.encode()[:_LONGEST].decode(errors="ignore")


def manager_problems(name: str, path: str) -> list[Cause]:
    """What is wrong with a manager's name at `path`."""
    if len(name) <= _LONGEST and name.isascii() and name.isprintable():
        return []
    causes = []
    if len(name.encode()) > _LONGEST:
        causes.append(Cause.too_long(path, _LONGEST))
    position = 0
    for char in name:
        if not _is_printable(char):
            causes.append(
                Cause.invalid(path, name, f"invalid character U+{ord(char):04X} (at position {position})")
            )
        position += len(char.encode())
    return causes


def _is_printable(char: str) -> bool:
    # Of the spaces, Go's unicode.IsPrint takes only the plain one, and so does Python.
    return char.isprintable()
