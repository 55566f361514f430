"""What iptables-save says a kernel holds, split into ours and others'."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from wellhead.proxy.backends.iptables.names import is_ours
from wellhead.proxy.backends.iptables.port_rules import Chain, Rules

_TARGET = re.compile(r" -[jg] (\S+)")


@dataclass(slots=True)
class Saved:
    """The state of some tables as far as this proxy is concerned."""

    chains: dict[Chain, Rules] = field(default_factory=dict)
    """Our chains."""
    jumps: dict[Chain, Rules] = field(default_factory=dict)
    """The rules of built-in chains that lead to our chains, in order."""
    referenced: set[Chain] = field(default_factory=set)
    """Our chains that rules in other people's chains lead to: they can't be deleted."""


def parse(text: str) -> Saved:
    """Read the output of iptables-save."""
    saved = Saved()
    table = ""
    rules: dict[Chain, list[str]] = {}
    built_in: set[str] = set()
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
            built_in = set()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            if policy != "-":
                built_in.add(name)
            elif is_ours(name):
                rules[Chain(table, name)] = []
        elif line.startswith("-A "):
            name = line.split(maxsplit=2)[1]
            if is_ours(name):
                rules[Chain(table, name)].append(line)
                continue
            found = _TARGET.search(_without_comments(line))
            if found and is_ours(found[1]):
                if name in built_in:
                    chain = Chain(table, name)
                    saved.jumps[chain] = (*saved.jumps.get(chain, ()), line)
                else:
                    saved.referenced.add(Chain(table, found[1]))
    saved.chains = {chain: tuple(found) for chain, found in rules.items()}
    return saved


def _without_comments(line: str) -> str:
    return re.sub(r'--comment ("(\\.|[^"\\])*"|\S+)', "", line)


def same(ours: Rules, theirs: Rules) -> bool:
    """Whether two chains hold the same rules, though another iptables release may word them differently."""
    if ours == theirs:
        return True
    return len(ours) == len(theirs) and all(
        mine == other or _tokens(mine) == _tokens(other) for mine, other in zip(ours, theirs, strict=True)
    )


def _tokens(rule: str) -> list[str]:
    """A rule's words without their order, and without what some releases leave out."""
    words: Iterable[str] = shlex.split(rule)
    omitted = {"-m", "tcp", "udp", "sctp", "--rsource"}
    return sorted(each[:10] if each.startswith("0.") else each for each in words if each not in omitted)
