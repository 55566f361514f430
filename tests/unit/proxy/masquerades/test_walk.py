"""Connections that are followed in crowds come to the rules that each of them by itself would come to."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from wellhead.ip import Family
from wellhead.proxy.masquerades.addresses import Addresses
from wellhead.proxy.masquerades.rules import BaseChain, Flows, Piece, Rule, Then, Where

_SIZE = 6
"""Addresses that there are."""
Numbers = frozenset[int]
Chains = dict[str, tuple[Rule, ...]]
_NAMES = ("base", "one", "two")


def some(numbers: Numbers) -> Addresses:
    return Addresses.between(Family.IPV4, ((IPv4Address(each), IPv4Address(each)) for each in numbers))


def numbers_of(found: Addresses) -> Numbers:
    return frozenset(each for first, last in found.ranges for each in range(first, last + 1))


numbers = st.frozensets(st.integers(0, _SIZE - 1))
wheres = st.builds(Where, st.booleans(), numbers.map(some), st.booleans())


@st.composite
def chains(draw: st.DrawFn) -> Chains:
    count = 0

    def rule() -> Rule:
        nonlocal count
        count += 1
        then = draw(st.sampled_from(list(Then)))
        to = draw(st.sampled_from(_NAMES[1:])) if then in (Then.JUMP, Then.GOTO) else ""
        return Rule(f"rule {count}", tuple(draw(st.lists(wheres, max_size=2))), then, to)

    found = {name: [rule() for _ in range(draw(st.integers(0, 4)))] for name in _NAMES}
    # As the kernel has it, nothing leads back.
    found["two"] = [each for each in found["two"] if not each.chain]
    found["one"] = [each for each in found["one"] if each.chain != "one"]
    return {name: tuple(rules) for name, rules in found.items()}


def taken(rules: Chains, name: str, source: int, destination: int) -> str | None:
    """The rule that replaces the source of one connection; "" if something else ends it, None if nothing."""
    for rule in rules[name]:
        holds = all(
            ((source if each.of_source else destination) in numbers_of(each.addresses)) != each.negated
            for each in rule.conditions
            if isinstance(each, Where)
        )
        if not holds:
            continue
        match rule.then:
            case Then.TRANSLATE:
                return rule.text
            case Then.KEEP | Then.END:
                return ""
            case Then.RETURN:
                return None
            case Then.JUMP | Then.GOTO:
                found = taken(rules, rule.chain, source, destination)
                if found is not None or rule.then is Then.GOTO:
                    return found
    return None


@given(chains(), numbers, numbers)
def test_a_crowd_is_taken_as_each_of_it(rules: Chains, sources: Numbers, destinations: Numbers) -> None:
    chain = BaseChain(Family.IPV4, "x", 100, "base", rules)
    hits, _ = chain.walk(
        [Piece(Flows(some(sources), some(destinations)))] if sources and destinations else []
    )
    found = {
        (source, destination, hit.rule.text)
        for hit in hits
        for source in numbers_of(hit.flows.source)
        for destination in numbers_of(hit.flows.destination)
    }
    assert all(hit.sure for hit in hits)
    assert found == {
        (source, destination, rule)
        for source in sources
        for destination in destinations
        if (rule := taken(rules, "base", source, destination))
    }


@given(numbers, numbers)
def test_sets_of_addresses_are_sets(one: Numbers, other: Numbers) -> None:
    assert numbers_of(some(one) & some(other)) == one & other
    assert numbers_of(some(one) | some(other)) == one | other
    assert numbers_of(some(one) - some(other)) == one - other
    assert bool(some(one)) == bool(one)
    assert (some(one) == some(other)) == (one == other)
