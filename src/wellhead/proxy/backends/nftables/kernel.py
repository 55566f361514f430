"""Reading tables from the kernel."""

from __future__ import annotations

from functools import lru_cache

from wellhead.ip import Family
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.held import Held
from wellhead.proxy.backends.nftables.layout import TABLE
from wellhead.proxy.backends.nftables.messages import (
    HOOKS,
    INTERVAL_END,
    TABLE_NAME,
    VERDICT_TYPE,
    flags_of,
    type_number,
    userdata,
)
from wellhead.proxy.backends.nftables.netlink import (
    NetlinkError,
    Reply,
    Socket,
    parse,
    parse_list,
    string,
    text,
)
from wellhead.proxy.backends.nftables.objects import Chain, ElementKey, Hook, Rule, Set, SetFlag, Verdict

_GETTABLE, _GETCHAIN, _GETRULE, _GETSET, _GETSETELEM, _GETGEN = 1, 4, 7, 10, 13, 16


def read(socket: Socket, family: Family) -> Held:
    """What our table holds.

    Raises:
        NetlinkError: the kernel does not say; a table that is not there is no error.
    """
    nfproto = family.number
    if not any(_name(each, 1) == TABLE for each in socket.dump(_GETTABLE, nfproto)):
        return Held()
    try:
        sets = dict(
            _read_set(each)
            for each in socket.dump(_GETSET, nfproto)
            if _name(each, 1) == TABLE and not _is_anonymous(each)
        )
        chains = _read_chains(socket, nfproto)
        known = {each.name: each for each in layout.sets(family)}
        elements: dict[ElementKey, object] = {}
        for name, found in sets.items():
            if SetFlag.DYNAMIC not in found.flags and known.get(name) == found:
                _read_elements(socket, nfproto, found, elements)
    except NetlinkError:
        if any(_name(each, 1) == TABLE for each in socket.dump(_GETTABLE, nfproto)):
            raise
        return Held()  # it went while being read
    return Held(True, sets, chains, elements)


def _name(reply: Reply, type: int) -> str:
    found = parse(reply.payload).get(type)
    return string(found) if found is not None else ""


def generation(socket: Socket) -> int:
    """A number that goes on by one with every transaction in this network namespace, anybody's."""
    return _number(parse(socket.get(_GETGEN).payload), 1)


def table_of(reply: Reply) -> str:
    """The table that a notification is about; empty when about none."""
    for kind, value in parse_list(reply.payload):
        if kind == 1:
            return string(value)
    return ""


def _number(found: dict[int, memoryview], type: int) -> int:
    return int.from_bytes(found[type], "big") if type in found else 0


def _read_set(reply: Reply) -> tuple[str, Set]:
    found = parse(reply.payload)
    name = string(found[2])
    family = next(family for family in Family if family.number == reply.family)
    for known in layout.sets(family):
        if known.name == name and _same_set(known, found):
            return name, known
    flags = SetFlag(_number(found, 3) & 0x7C)
    return name, Set(name, (), None, flags)


def _is_anonymous(reply: Reply) -> bool:
    """A set that is written out in a rule, which is nobody's but that rule's; none of ours is."""
    return bool(_number(parse(reply.payload), 3) & 1)


def _same_set(known: Set, found: dict[int, memoryview]) -> bool:
    data_type = 0
    if known.data is not None:
        data_type = VERDICT_TYPE if known.data == "verdict" else type_number(known.data)
    size = _number(parse(found[9]), 1) if 9 in found else 0
    return (
        (_number(found, 3), _number(found, 4), _number(found, 5))
        == (flags_of(known), type_number(known.key), known.key_length)
        and (_number(found, 6), _number(found, 7)) == (data_type, known.data_length)
        and size == known.size
        and bytes(found.get(13, b"")) == userdata(known)
    )


def _read_chains(socket: Socket, nfproto: int) -> dict[str, Chain]:
    rules: dict[str, list[Rule]] = {}
    for reply in socket.dump(_GETRULE, nfproto, TABLE_NAME):
        found = parse(reply.payload)
        if string(found[1]) == TABLE:
            comment = string(found[7][2:]) if 7 in found else ""
            rules.setdefault(string(found[2]), []).append(Rule(bytes(found.get(4, b"")), comment))
    chains = {}
    for reply in socket.dump(_GETCHAIN, nfproto):
        found = parse(reply.payload)
        if string(found[1]) != TABLE:
            continue
        name = string(found[3])
        hook = None
        if 4 in found:
            where = parse(found[4])
            priority = int.from_bytes(where[2], "big", signed=True)
            hook = Hook(string(found[7]), HOOKS[_number(where, 1)], priority)
        chains[name] = Chain(name, tuple(rules.get(name, ())), hook)
    return chains


def _read_elements(socket: Socket, nfproto: int, each: Set, elements: dict[ElementKey, object]) -> None:
    for reply in socket.dump(_GETSETELEM, nfproto, TABLE_NAME + text(2, each.name)):
        for kind, value in parse_list(reply.payload):
            if kind == 3:
                for _, element in parse_list(value):
                    found = parse(element)
                    key = bytes(found[1][4:])
                    key_end = bytes(found[10][4:]) if 10 in found else b""
                    ends = bool(_number(found, 3) & INTERVAL_END)
                    data = _read_data(found[2]) if 2 in found else None
                    elements[ElementKey(each.name, key, key_end, ends)] = data


def _read_data(data: memoryview) -> object:
    kind, value = next(parse_list(data))
    if kind == 1:
        return bytes(value)
    verdict = parse(value)
    chain = string(verdict[2]) if 2 in verdict else ""
    return _intern_verdict(chain, int.from_bytes(verdict[1], "big", signed=True) == -3)


@lru_cache(maxsize=4096)
def _intern_verdict(chain: str, returns: bool) -> Verdict:
    return Verdict(chain, returns)
