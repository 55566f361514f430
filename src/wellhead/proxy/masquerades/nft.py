"""Reading rules as nft lists them: in JSON what they mean, in text what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wellhead.ip import Family, IPAddress, networks_of, parse_address
from wellhead.proxy.masquerades.addresses import Addresses
from wellhead.proxy.masquerades.rules import (
    NEVER,
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

_THEN = {
    "masquerade": Then.TRANSLATE,
    "snat": Then.TRANSLATE,
    "accept": Then.END,
    "drop": Then.END,
    "reject": Then.END,
    "queue": Then.END,
    "return": Then.RETURN,
    "jump": Then.JUMP,
    "goto": Then.GOTO,
}
_TARGETS = {"MASQUERADE", "SNAT", "NETMAP"}
"""Of iptables, in a rule that nft can't read."""
_OTHER = {"ip": Family.IPV6, "ip6": Family.IPV4}
_FAMILIES = {"ipv4": Family.IPV4, "ip": Family.IPV4, "ipv6": Family.IPV6, "ip6": Family.IPV6}
_NO_CONDITION = {
    "counter", "comment", "log", "mangle", "notrack", "meter", "set", "map", "continue", "last", "flow",
}  # fmt: skip
_ICMP = {"icmp", "icmpv6", "igmp", "esp", "ah", "gre", "vrrp"}
_OF_AN_ADDRESS = (["daddr"], ["saddr"], "daddr", "saddr")
_SERVED = {"tcp", "udp", "sctp", "udplite", "dccp", 6, 17, 132}
_RULE = re.compile(r"^\t\t(.*) # handle (\d+)$")
_CHAIN = re.compile(r"^\tchain (\S+) \{")


def read(objects: list[dict[str, Any]], text: str, family: Family) -> dict[str, tuple[Rule, ...]]:
    """The chains among a table's objects, for packets of one family; `text` is the same table's listing, with
    handles."""
    words = _texts(text)
    reader = _Reader(family, _elements(objects))
    found: dict[str, list[Rule]] = {}
    for each in objects:
        if (chain := each.get("chain")) is not None:
            found.setdefault(chain["name"], [])
        elif (rule := each.get("rule")) is not None:
            name = rule["chain"]
            written = words.get((name, rule.get("handle")), f"a rule of chain {name}")
            found.setdefault(name, []).extend(reader.rules(rule.get("expr") or [], written))
    return {name: tuple(rules) for name, rules in found.items()}


def sets_of(objects: list[dict[str, Any]], chain: str) -> list[str]:
    """The names of the sets and maps that the rules of a chain ask, and of those that it leads to."""
    rules: dict[str, list[Any]] = {}
    for each in objects:
        if (rule := each.get("rule")) is not None:
            rules.setdefault(rule["chain"], []).append(rule.get("expr"))
    found: dict[str, None] = {}
    elements = _elements(objects)
    chains = {chain}
    waiting: list[Any] = rules.get(chain, [])
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            target = each.get("target")
            if isinstance(target, str) and target not in chains:
                chains.add(target)
                waiting += rules.get(target, [])
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and each.startswith("@") and each[1:] not in found:
            found[each[1:]] = None
            waiting += elements.get(each[1:], [])  # a map may lead to chains
    return list(found)


def _texts(text: str) -> dict[tuple[str, int], str]:
    """What rules are called, by chain and handle."""
    found: dict[tuple[str, int], str] = {}
    chain = ""
    for line in text.splitlines():
        if begins := _CHAIN.match(line):
            chain = begins[1]
        elif chain and (rule := _RULE.match(line)):
            found[chain, int(rule[2])] = rule[1]
    return found


def _elements(objects: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What is in a table's sets and maps, by name."""
    found = {}
    for each in objects:
        one = each.get("set") or each.get("map")
        if one is not None:
            elements = one.get("elem") or []
            found[one["name"]] = elements if isinstance(elements, list) else [elements]
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads for one family."""

    family: Family
    elements: Mapping[str, list[Any]]

    def rules(self, expressions: list[Any], text: str) -> Iterator[Rule]:
        """What one rule of nft's is: one, or with a map of verdicts one for each element."""
        conditions: list[Condition] = []
        for each in expressions:
            name, value = _statement(each)
            xt: dict[str, Any] = value if name == "xt" and isinstance(value, dict) else {}
            if name == "vmap":
                for key, verdict in self._pairs(value["data"]):
                    asked = self._match({"left": value["key"], "right": key, "op": "=="})
                    then, chain, seen = _verdict(verdict)
                    yield Rule(text, (*conditions, *asked), then, chain, seen)
            elif name in _THEN or xt.get("name") in _TARGETS:
                if name == "snat":
                    conditions += self._mapped(value.get("addr"))
                then, chain, seen = _verdict({name: value})
                yield Rule(text, tuple(conditions), then, chain, seen)
                return
            elif name == "match":
                conditions += self._match(value)
            elif name not in _NO_CONDITION and xt.get("type") != "target":
                conditions.append(UNKNOWN)  # limit, quota, xt's matches, …

    def _mapped(self, to: Any) -> list[Condition]:
        """Only who is in the map that a new source is looked up in gets one."""
        if not isinstance(to, dict) or not isinstance(to.get("map"), dict):
            return []
        keys = [key for key, _ in self._pairs(to["map"].get("data"))]
        return self._match({"left": to["map"].get("key"), "right": {"set": keys}, "op": "=="})

    def _pairs(self, data: Any) -> Iterator[tuple[Any, Any]]:
        elements = self._constants(data)
        for each in elements or ():
            if isinstance(each, list) and len(each) == 2:
                yield _without_comment(each[0]), each[1]

    def _match(self, match: Any) -> list[Condition]:
        left, right = match.get("left"), match.get("right")
        operator = match.get("op")
        if operator not in ("==", "!=", "in") or not isinstance(left, dict):
            return [UNKNOWN]
        negated = operator == "!="
        if "concat" in left and not negated:
            return [*self._parts(left["concat"], self._constants(right)), UNKNOWN]
        masked = isinstance(left.get("&"), list) and len(left["&"]) == 2
        asked = left["&"][0] if masked else left
        [(kind, of)] = asked.items() if isinstance(asked, dict) and len(asked) == 1 else [("", {})]
        if not isinstance(of, dict):
            return [UNKNOWN]  # concatenations
        if kind == "payload" and _OTHER.get(of.get("protocol", "")) is self.family:
            return [NEVER]  # in a table of both families
        if masked:
            return [self._masked(kind, of, left["&"][1], right, negated)]
        match kind:
            case "payload":
                return [self._payload(of, right, negated)]
            case "meta":
                return [self._meta(of, right, negated)]
            case "ct":
                return [self._connection(of, right, negated)]
            case "fib" if of.get("result") == "type" and of.get("flags") in _OF_AN_ADDRESS:
                values = self._constants(right)
                return [UNKNOWN if values is None else whether(("unicast" in values) != negated)]
        return [UNKNOWN]

    def _parts(self, left: list[Any], values: list[Any] | None) -> Iterator[Condition]:
        """What has to hold at least for several things at once."""
        rows = [each["concat"] for each in values or () if isinstance(each, dict) and "concat" in each]
        for number, each in enumerate(left if rows and len(rows) == len(values or ()) else ()):
            yield from self._match(
                {"left": each, "right": {"set": [row[number] for row in rows]}, "op": "=="}
            )

    def _payload(self, of: dict[str, Any], right: Any, negated: bool) -> Condition:
        if of.get("protocol") in _ICMP:
            return NEVER
        match of.get("field"):
            case "saddr" | "daddr" as field if of.get("protocol") in ("ip", "ip6"):
                found = self._addresses(right)
                return UNKNOWN if found is None else Where(field == "saddr", found, negated)
            case "protocol" | "nexthdr":
                return self._protocol(right, negated)
        return UNKNOWN

    def _meta(self, of: dict[str, Any], right: Any, negated: bool) -> Condition:
        values = self._constants(right)
        match of.get("key"):
            case _ if values is None:
                return UNKNOWN
            case "nfproto" | "protocol" if all(str(each) in _FAMILIES for each in values):
                return whether((self.family in {_FAMILIES[each] for each in values}) != negated)
            case "mark" if all(isinstance(each, int) for each in values):
                return whether((0 in values) != negated)
            case "oifname" | "oif" if all(isinstance(each, str) for each in values):
                return LeavesBy(tuple(values), negated)
            case "l4proto":
                return self._protocol(right, negated)
        return UNKNOWN

    def _protocol(self, right: Any, negated: bool) -> Condition:
        values = self._constants(right)
        if values is None or any(each in _SERVED for each in values if isinstance(each, (str, int))):
            return UNKNOWN
        return whether(negated)

    def _connection(self, of: dict[str, Any], right: Any, negated: bool) -> Condition:
        values = self._constants(right)
        match of.get("key"):
            case _ if values is None or of.get("dir"):
                return UNKNOWN
            case "state":
                return whether(("new" in values) != negated)
            case "status" if values == ["dnat"]:
                return Translated(negated)
            case "direction":
                return whether(("original" in values) != negated)
        return UNKNOWN

    def _masked(self, kind: str, of: dict[str, Any], mask: Any, right: Any, negated: bool) -> Condition:
        """A condition on some bits."""
        if kind == "meta" and of.get("key") == "mark":
            return whether((right == 0) != negated) if isinstance(right, int) else UNKNOWN
        if kind == "ct" and of.get("key") == "status" and mask == "dnat":
            return Translated((right == 0) != negated) if right in (0, "dnat") else UNKNOWN
        return UNKNOWN

    def _constants(self, value: Any) -> list[Any] | None:
        """The constants that stand on a condition's right side; None if that can't be said."""
        if isinstance(value, str) and value.startswith("@"):
            value = self.elements.get(value[1:])
        elif isinstance(value, dict) and "set" in value:
            value = value["set"]
            if isinstance(value, str):
                return self._constants(value)
        elif not isinstance(value, list):
            value = [value]
        if value is None:
            return None
        return [_without_comment(each) for each in value]

    def _addresses(self, value: Any) -> Addresses | None:
        constants = self._constants(value)
        if constants is None:
            return None
        ends = [self._ends(each) for each in constants]
        if None in ends:
            return None
        return Addresses.between(self.family, [each for each in ends if each is not None])

    def _ends(self, value: Any) -> tuple[IPAddress, IPAddress] | None:
        if isinstance(value, dict) and "range" in value:
            first, last = (parse_address(str(each)) for each in value["range"])
            return (first, last) if first is not None and last is not None else None
        if isinstance(value, dict) and "prefix" in value:
            value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
        networks = networks_of(self.family, (value,)) if isinstance(value, str) else ()
        return (networks[0][0], networks[0][-1]) if networks else None


def _without_comment(element: Any) -> Any:
    """An element's key alone."""
    return element["elem"].get("val") if isinstance(element, dict) and "elem" in element else element


def _statement(each: Any) -> tuple[str, Any]:
    """A statement's or an expression's name, and what it says."""
    if not isinstance(each, dict):
        return str(each), None
    [(name, value)] = each.items()
    return name, value


def _verdict(statement: Any) -> tuple[Then, str, str]:
    """What a statement does, to which chain it leads, and what is seen if it translates."""
    name, value = _statement(statement)
    if name == "xt":
        return Then.TRANSLATE, "", NODE
    then = _THEN.get(name, Then.NOTHING)
    chain = value.get("target", "") if isinstance(value, dict) and name in ("jump", "goto") else ""
    if name != "snat":
        return then, chain, NODE
    to = value.get("addr") if isinstance(value, dict) else None
    if isinstance(to, dict) and (to.get("payload") or {}).get("field") == "saddr":
        return Then.KEEP, "", NODE
    if isinstance(to, dict) and "range" in to:
        to = "-".join(map(str, to["range"]))
    return then, "", to if isinstance(to, str) else "another address"
