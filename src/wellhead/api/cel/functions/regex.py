"""Regular expressions as RE2 reads them: in a time that the text's length bounds, whatever it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from wellhead.api.cel.functions.table import Function, function
from wellhead.api.cel.values import EvaluationError

_MOST_MEMORY = 1 << 20  # bytes that one expression may take


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Raises EvaluationError for what is no expression."""
    import re2

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise EvaluationError(f"error parsing regexp: {text}") from None


def find(text: str, pattern: str) -> str:
    """The first part that matches, '' if none does."""
    match = compiled(pattern).search(text)
    return "" if match is None else str(match.group(0))


def find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    """The parts that match, at most so many of them if that isn't negative."""
    found: list[str] = []
    for match in compiled(pattern).finditer(text):
        if 0 <= most <= len(found):
            break
        found.append(str(match.group(0)))
    return found


REGEX: tuple[Function, ...] = (
    function("string -> find(string): string", find),
    function("string -> findAll(string): list<string>", find_all),
    function("string -> findAll(string, int): list<string>", find_all),
)
