"""Reading rules as `iptables -S` lists them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from wellhead.ip import IPNetwork
from wellhead.proxy.masquerades.rules import NEVER, UNKNOWN, Always, Condition, Rule, Then, Where, Whether

_TRANSLATING = {"MASQUERADE", "SNAT", "NETMAP", "SAME"}
_ENDING = {"ACCEPT", "DROP", "REJECT", "DNAT", "REDIRECT"}
_NOTHING = {"MARK", "CONNMARK", "LOG", "NFLOG", "TRACE", "CT", "AUDIT", "TCPMSS", "NOTRACK", "SET"}


def read(text: str) -> dict[str, tuple[Rule, ...]]:
    """The chains of a listing."""
    found: dict[str, list[Rule]] = {}
    for line in text.splitlines():
        words = line.split(maxsplit=2)
        if len(words) >= 2 and words[0] in ("-P", "-N"):
            found.setdefault(words[1], [])
        elif len(words) >= 2 and words[0] == "-A":
            found.setdefault(words[1], []).append(_rule(line))
    return {name: tuple(rules) for name, rules in found.items()}


def leads_to(rules: Iterable[Rule]) -> list[str]:
    """The chains that rules lead to."""
    return [each.chain for each in rules if each.chain]


def _rule(line: str) -> Rule:
    conditions: list[Condition] = []
    then, chain = Then.NOTHING, ""
    for option, values, negated in _options(shlex.split(line)[2:]):
        value = values[0] if values else ""
        match option:
            case "-j" | "-g":
                then, chain = _target(value, goto=option == "-g")
            case "-s" | "-d":
                conditions.append(Where(option == "-s", _networks(value), negated))
            case "--dst-type" if value == "LOCAL":
                conditions.append(Always(Whether.YES if negated else Whether.NO))
            case "--mark" if not negated and _number(value):
                conditions.append(NEVER)  # what the proxy leaves alone has none of the usual marks
            case "--mark" if negated:
                pass
            case "--ctstate" if "DNAT" in value.split(",") or "NEW" in value.split(","):
                conditions.append(NEVER if negated else Always(Whether.YES))
            case "-m" | "--comment" | "--random-fully" | "--to-source" | "--to-ports" | "--random" | "--to":
                pass
            case "--set-xmark" | "--set-mark" | "--or-mark" | "--and-mark" | "--xor-mark":
                pass
            case _:
                conditions.append(UNKNOWN)
    return Rule(line, tuple(conditions), then, chain)


def _options(words: list[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Options with their values, and whether a `!` stands before them."""
    found: list[tuple[str, list[str], bool]] = []
    negated = False
    for word in words:
        if word == "!":
            negated = True
        elif word.startswith("-") or not found:
            found.append((word, [], negated))
            negated = False
        else:
            found[-1][1].append(word)
    yield from found


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


def _networks(text: str) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ip_network(each, strict=False) for each in text.split(","))
    except ValueError:
        return ()  # a mask with holes, say


def _number(text: str) -> bool:
    """Whether a mark, with or without a mask, is one that an unmarked packet hasn't."""
    try:
        return bool(int(text.partition("/")[0], 0))
    except ValueError:
        return False
