"""Parts of a byte: of memory and storage there are none."""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.meta import Obj
from wellhead.api.quantity import Quantity


def of_bytes(at: str, amounts: Obj | None, *names: str) -> Iterator[str]:
    """Those of the amounts that are counted in bytes."""
    for name in names:
        if (text := (amounts or {}).get(name)) is None:
            continue
        try:
            amount = Quantity.parse(text)
        except ValueError:
            continue
        if amount.milli_value % 1000:
            yield f'{at}[{name}]: fractional byte value "{amount}" is invalid, must be an integer'


def of_claim(at: str, spec: Obj) -> Iterator[str]:
    """What a claim asks for."""
    resources = spec.get("resources") or {}
    for which in ("requests", "limits"):
        yield from of_bytes(f"{at}.resources.{which}", resources.get(which), "storage")
