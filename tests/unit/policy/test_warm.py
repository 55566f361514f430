"""What is the same on every node is made once, and shared by those who are forked then."""

from __future__ import annotations

from wellhead.ip import Family
from wellhead.policy.main import warm
from wellhead.policy.skeleton import chains


def test_rules_are_encoded_once() -> None:
    warm()
    for family in Family:
        before = [each.encoded for chain in chains(family) for each in chain.rules]
        again = [each.encoded for chain in chains(family) for each in chain.rules]
        assert all(one is other for one, other in zip(before, again, strict=True))
