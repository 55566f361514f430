"""Reading rules as nft lists them: in JSON what they mean, in text what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from wellhead.ip import Family, IPNetwork
from wellhead.proxy.masquerades.rules import NEVER, UNKNOWN, Always, Condition, Rule, Then, Where, Whether

_THEN = {
    "masquerade": Then.TRANSLATE,
    "snat": Then.TRANSLATE,
    "accept": Then.END,
    "drop": Then.END,
    "return": Then.RETURN,
    "jump": Then.JUMP,
    "goto": Then.GOTO,
}
_OTHER = {"ip": Family.IPV6, "ip6": Family.IPV4}
_FAMILIES = {"ipv4": Family.IPV4, "ip": Family.IPV4, "ipv6": Family.IPV6, "ip6": Family.IPV6}
_NO_CONDITION = {"counter", "comment", "log", "mangle", "notrack", "meter"}


def read(objects: list[dict[str, Any]], text: str, family: Family) -> dict[str, tuple[Rule, ...]]:
    """The chains among a table's objects, for packets of one family; `text` is the same table's listing."""
    words = _texts(text)
    found: dict[str, list[Rule]] = {}
    for each in objects:
        if (chain := each.get("chain")) is not None:
            found.setdefault(chain["name"], [])
        elif (rule := each.get("rule")) is not None:
            rules = found.setdefault(rule["chain"], [])
            named = words.get(rule["chain"], [])
            written = named[len(rules)] if len(rules) < len(named) else f"a rule of chain {rule['chain']}"
            rules.append(_rule(rule.get("expr") or [], written, family))
    return {name: tuple(rules) for name, rules in found.items()}


def _texts(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    chain = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("chain ") and line.endswith("{"):
            chain = line.split()[1]
            found[chain] = []
        elif line == "}":
            chain = ""
        elif chain and line and not line.startswith("type "):
            found[chain].append(line)
    return found


def _rule(expressions: list[Any], text: str, family: Family) -> Rule:
    conditions: list[Condition] = []
    for each in expressions:
        [(name, value)] = each.items() if isinstance(each, dict) else [(str(each), None)]
        if name in _THEN:
            chain = value.get("target", "") if isinstance(value, dict) else ""
            return Rule(text, tuple(conditions), _THEN[name], chain if name in ("jump", "goto") else "")
        if name == "match":
            conditions += _match(value, family)
        elif name not in _NO_CONDITION:
            conditions.append(UNKNOWN)  # xt, vmap, …
    return Rule(text, tuple(conditions))


def _match(match: Any, family: Family) -> Iterator[Condition]:
    left, right, operator = match.get("left"), match.get("right"), match.get("op")
    if not isinstance(left, dict):
        yield UNKNOWN
        return
    payload, meta = left.get("payload"), left.get("meta")
    of = payload.get("protocol") if isinstance(payload, dict) else None
    if of in _OTHER and _OTHER[of] is family:
        yield NEVER  # in a table of both families
    elif operator not in ("==", "!=", "in"):
        yield UNKNOWN
    elif isinstance(payload, dict) and payload.get("field") in ("saddr", "daddr"):
        networks = _networks(right)
        yield Where(payload["field"] == "saddr", networks, operator == "!=") if networks else UNKNOWN
    elif isinstance(meta, dict) and meta.get("key") in ("nfproto", "protocol") and str(right) in _FAMILIES:
        yield Always(Whether.YES) if (_FAMILIES[right] is family) != (operator == "!=") else NEVER
    elif isinstance(right, int) and (_is_mark(meta) or _is_mark_and(left)):
        unmarked_is = (right == 0) != (operator == "!=")
        yield Always(Whether.YES) if unmarked_is else NEVER
    else:
        yield UNKNOWN


def _is_mark(meta: Any) -> bool:
    return isinstance(meta, dict) and meta.get("key") == "mark"


def _is_mark_and(left: dict[str, Any]) -> bool:
    masked = left.get("&")
    return isinstance(masked, list) and masked[:1] == [{"meta": {"key": "mark"}}]


def _networks(value: Any) -> tuple[IPNetwork, ...]:
    """The networks that a constant stands for; none if it is a set's name or something else."""
    if isinstance(value, dict) and "set" in value:
        found = [_networks(each) for each in value["set"]]
        return tuple(one for each in found for one in each) if all(found) else ()
    if isinstance(value, dict) and "prefix" in value:
        value = f"{value['prefix']['addr']}/{value['prefix']['len']}"
    try:
        return (ip_network(value, strict=False),) if isinstance(value, str) else ()
    except ValueError:
        return ()
