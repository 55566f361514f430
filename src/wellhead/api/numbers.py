"""Integers in text, as Go reads them: ASCII digits, no underscores, no blanks, and within 64 bits."""

from __future__ import annotations

import re

from wellhead.text import quoted

_SIGNED = re.compile("[-+]?[0-9]+", re.ASCII)
_UNSIGNED = re.compile("[0-9]+", re.ASCII)
_MOST_DIGITS = 40  # what is longer is out of range, and int() slow with it
_INT64, _UINT64 = range(-(1 << 63), 1 << 63), range(1 << 64)


def parse_int64(text: str) -> int:
    """strconv.ParseInt. Raises ValueError with Go's words."""
    return _parse(text, "ParseInt", _SIGNED, _INT64)


def parse_uint64(text: str) -> int:
    """strconv.ParseUint. Raises ValueError with Go's words."""
    return _parse(text, "ParseUint", _UNSIGNED, _UINT64)


def _parse(text: str, function: str, pattern: re.Pattern[str], valid: range) -> int:
    if not pattern.fullmatch(text):
        raise ValueError(f"strconv.{function}: parsing {quoted(text)}: invalid syntax")
    if len(text) > _MOST_DIGITS or int(text) not in valid:
        raise ValueError(f"strconv.{function}: parsing {quoted(text)}: value out of range")
    return int(text)
