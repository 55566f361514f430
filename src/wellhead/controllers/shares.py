"""Counts that may be given as a share of something."""

from __future__ import annotations


def resolve(value: int | str, total: int, *, up: bool) -> int:
    """An IntOrString: a count, or a percentage of `total`, rounded up or down. Raises ValueError."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"{value!r} is neither a count nor a percentage")
    share = int(value[:-1]) * total
    return -(-share // 100) if up else share // 100
