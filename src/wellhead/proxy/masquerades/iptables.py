"""Reading rules as `iptables -S` lists them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from wellhead.ip import Family, IPAddress, networks_of
from wellhead.proxy.masquerades.addresses import Addresses
from wellhead.proxy.masquerades.rules import (
    ALWAYS,
    NODE,
    UNKNOWN,
    Condition,
    LeavesBy,
    Rule,
    Then,
    Translated,
    Where,
    whether,
)

_TRANSLATING = {"MASQUERADE", "SNAT", "NETMAP", "SAME"}
_ENDING = {"ACCEPT", "DROP", "REJECT", "DNAT", "REDIRECT", "NFQUEUE", "QUEUE"}
_NOTHING = {"MARK", "CONNMARK", "LOG", "NFLOG", "TRACE", "CT", "AUDIT", "TCPMSS", "NOTRACK", "SET"}
_ASIDE = {"--comment", "--dir", "--nowildcard"}
"""Options that ask nothing."""
_OF_SOCKETS = {"--uid-owner", "--gid-owner", "--socket-exists", "--suppl-groups"}
_SERVED = {"tcp", "udp", "sctp", "6", "17", "132"}
"""Protocols of Services."""

Sets = Mapping[str, Addresses]
"""The kernel's sets (ipset) by name, as far as their content is known."""


def read(text: str, family: Family = Family.IPV4, sets: Sets | None = None) -> dict[str, tuple[Rule, ...]]:
    """The chains of a listing."""
    found: dict[str, list[Rule]] = {}
    for line in text.splitlines():
        words = line.split(maxsplit=2)
        if len(words) >= 2 and words[0] in ("-P", "-N"):
            found.setdefault(words[1], [])
        elif len(words) >= 2 and words[0] == "-A":
            found.setdefault(words[1], []).append(_rule(line, family, sets or {}))
    return {name: tuple(rules) for name, rules in found.items()}


def leads_to(rules: Iterable[Rule]) -> list[str]:
    """The chains that rules lead to."""
    return [each.chain for each in rules if each.chain]


def sets_of(text: str) -> set[str]:
    """The names of the sets that a listing asks."""
    found = set()
    for line in text.splitlines():
        if "--match-set" in line:
            found |= {each.value for each in _options(shlex.split(line)[2:]) if each.name == "--match-set"}
    return found


class _Option(NamedTuple):
    """An option of a rule, with its values."""

    module: str
    """The match that it belongs to (-m)."""
    name: str
    values: tuple[str, ...]
    negated: bool

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""


def _rule(line: str, family: Family, sets: Sets) -> Rule:
    conditions: list[Condition] = []
    then, chain, seen = Then.NOTHING, "", NODE
    for option in _options(shlex.split(line)[2:]):
        if option.name in ("-j", "-g"):
            then, chain = _target(option.value, goto=option.name == "-g")
        elif option.name in ("--to-source", "--to") and then is Then.TRANSLATE:
            seen = option.value
        elif then is Then.NOTHING and not chain and option.name not in _ASIDE:
            conditions.append(_condition(option, family, sets))
    return Rule(line, tuple(each for each in conditions if each is not ALWAYS), then, chain, seen)


def _condition(option: _Option, family: Family, sets: Sets) -> Condition:
    value, yes = option.value, not option.negated
    listed = set(value.split(","))
    match option.name:
        case "-s" | "-d":
            networks = networks_of(family, value.split(","))
            if len(networks) != len(listed):
                return UNKNOWN  # a mask with holes, say
            return Where(option.name == "-s", Addresses.within(family, networks), option.negated)
        case "--src-range" | "--dst-range":
            between = _between(value, family)
            return Where(option.name == "--src-range", between, option.negated) if between else UNKNOWN
        case "--match-set" if value in sets and len(option.values) == 2:
            return Where(option.values[1].startswith("src"), sets[value], option.negated)
        case "-o":
            return LeavesBy((_wildcard(value),), option.negated)
        case "-p" if not listed & _SERVED and value not in ("all", "0"):
            return whether(option.negated)
        case "--dst-type" | "--src-type":
            return whether(("UNICAST" in listed) == yes)  # pods and clients are nobody's own here
        case "--mark" if option.module == "mark":
            unmarked = _number(value)  # as what the proxy leaves alone is, unless it has marks of its own
            return UNKNOWN if unmarked is None else whether((unmarked == 0) == yes)
        case "--ctstate" | "--state":
            if "NEW" in listed:
                return whether(yes)
            return Translated(option.negated) if "DNAT" in listed else whether(not yes)
        case "--ctdir":
            return whether((value == "ORIGINAL") == yes)
        case "--pol":
            return UNKNOWN if (value == "none") != yes else ALWAYS
        case name if name in _OF_SOCKETS:
            return whether(option.negated)  # pods' and clients' packets are no process' of the node
    return UNKNOWN


def _options(words: list[str]) -> Iterator[_Option]:
    """A rule's options in order, and whether a `!` stands before them."""
    module, negated, at = "", False, 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "!":
            negated = True
            continue
        begin = at
        if word in ("--comment", "-m", "-j", "-g"):  # a comment may look like anything
            at += 1
        else:
            while at < len(words) and words[at] != "!" and not words[at].startswith("-"):
                at += 1
        if word == "-m":
            module = words[begin] if begin < len(words) else ""
        else:
            yield _Option(module, word, tuple(words[begin:at]), negated)
        negated = False


def _target(name: str, *, goto: bool) -> tuple[Then, str]:
    if name in _TRANSLATING:
        return Then.TRANSLATE, ""
    if name in _ENDING:
        return Then.END, ""
    if name in _NOTHING:
        return Then.NOTHING, ""
    if name == "RETURN":
        return Then.RETURN, ""
    return (Then.GOTO if goto else Then.JUMP), name


def _between(text: str, family: Family) -> Addresses | None:
    first, _, last = text.partition("-")
    try:
        ends: tuple[IPAddress, IPAddress] = (ip_address(first), ip_address(last))
    except ValueError:
        return None
    return Addresses.between(family, [ends])


def _wildcard(interface: str) -> str:
    return f"{interface[:-1]}*" if interface.endswith("+") else interface


def _number(text: str) -> int | None:
    """A mark without its mask."""
    try:
        return int(text.partition("/")[0], 0)
    except ValueError:
        return None
