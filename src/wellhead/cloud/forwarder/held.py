"""The table that an earlier run, or somebody else, has left in the kernel, read from nft's JSON. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from wellhead.ip import IPNetwork

_GROUP = "group-"


@dataclass(frozen=True)
class Held:
    """What there is of the table. Elements are as nft writes them; their values are marks, None in sets."""

    chains: frozenset[str]
    hooks: Mapping[str, tuple[str, str, int]]
    """Of base chains: type, hook, priority."""
    pools: frozenset[IPNetwork]
    elements: Mapping[str, Mapping[str, int | None]]
    """By set or map."""

    @property
    def groups(self) -> frozenset[int]:
        """The numbers of the groups that have a chain."""
        numbers = (name.removeprefix(_GROUP) for name in self.chains if name.startswith(_GROUP))
        return frozenset(int(number) for number in numbers if number.isdigit())


def read(objects: Iterable[Mapping[str, Any]]) -> Held | None:
    """What these objects (libnftables-json(5)) say; None if they can't be ours."""
    chains: dict[str, Mapping[str, Any]] = {}
    elements: dict[str, Mapping[str, int | None]] = {}
    pools: frozenset[IPNetwork] = frozenset()
    try:
        for each in objects:
            if "chain" in each:
                chains[each["chain"]["name"]] = each["chain"]
            for what in ("set", "map"):
                if what not in each:
                    continue
                name, held = each[what]["name"], each[what].get("elem") or ()
                if name == "pools":
                    pools = frozenset(map(_network, held))
                elif each[what].get("map") != "verdict" and "timeout" not in each[what].get("flags", ()):
                    elements[name] = dict(_element(entry, each[what]["type"]) for entry in held)
    except (KeyError, TypeError, ValueError):
        return None
    hooks = {
        name: (chain["type"], chain["hook"], int(chain["prio"]))
        for name, chain in chains.items()
        if "hook" in chain
    }
    return Held(frozenset(chains), hooks, pools, elements)


def _network(entry: Any) -> IPNetwork:
    if isinstance(entry, dict):
        return ip_network(f"{entry['prefix']['addr']}/{entry['prefix']['len']}")
    return ip_network(entry)


def _element(entry: Any, kind: Any) -> tuple[str, int | None]:
    if isinstance(entry, list):
        key, value = entry
        return _key(key, kind), int(value, 0) if isinstance(value, str) else int(value)
    return _key(entry, kind), None


def _key(key: Any, kind: Any) -> str:
    if isinstance(key, dict):
        return " . ".join(map(str, key["concat"]))
    return (
        f'"{key}"'
        if kind == "ifname"
        else str(int(key, 0) if kind == "mark" and isinstance(key, str) else key)
    )
