"""What an earlier process has left in the nftables table."""

from __future__ import annotations

from typing import NamedTuple

from wellhead.linux import nft
from wellhead.proxy.symmetric_return.rules import FAMILY, TABLE, VALIDATED


class Held(NamedTuple):
    """What the table says about its makers."""

    numbers: dict[str, int]
    """Peers' numbers by their comments."""
    validated: frozenset[str]


def held() -> Held | None:
    """What there is; None if there is no table.

    Raises:
        NftError.
    """
    try:
        objects = nft.objects(FAMILY, TABLE)
    except nft.NoSuchObject:
        return None
    numbers = {}
    validated: frozenset[str] = frozenset()
    for each in objects:
        if (rule := each.get("rule")) is not None and (name := rule.get("comment")):
            kind, _, number = rule["chain"].rpartition("-")
            if kind == "zone" and number.isdecimal():
                numbers[name] = int(number)
        elif (found := each.get("set")) is not None and found["name"] == VALIDATED:
            validated = frozenset(each for each in found.get("elem") or () if isinstance(each, str))
    return Held(numbers, validated)
