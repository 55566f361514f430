"""What programs the node of a packet test: iptables mode in each variant, or nftables mode."""

from __future__ import annotations

import pytest

IPTABLES = ("nft", "legacy")


def by(*backends: str) -> pytest.MarkDecorator:
    """The tests' worlds are programmed by these, one after the other."""
    return pytest.mark.parametrize("world", backends, indirect=True, scope="module")


by_every_backend = by(*IPTABLES, "nftables")
by_nftables = by("nftables")
by_any = by("nft")
"""It makes no difference: the proxy under test is a process, with a mode of its own."""
