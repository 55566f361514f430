"""Tables in the kernel: writing a transaction, reading what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct

from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.expressions import verdict_data
from wellhead.proxy.backends.nftables.layout import NFPROTO, TABLE
from wellhead.proxy.backends.nftables.netlink import (
    NESTED,
    Message,
    NetlinkError,
    Reply,
    Socket,
    attribute,
    nested,
    parse,
    parse_list,
    string,
    text,
    u32,
)
from wellhead.proxy.backends.nftables.objects import (
    Chain,
    Element,
    ElementKey,
    Hook,
    Rule,
    Set,
    SetFlag,
    Transaction,
    Type,
    Verdict,
)
from wellhead.proxy.backends.nftables.ruleset import Held
from wellhead.services.family import Family

_NEWTABLE, _GETTABLE, _DELTABLE = 0, 1, 2
_NEWCHAIN, _GETCHAIN, _DELCHAIN = 3, 4, 5
_NEWRULE, _GETRULE, _DELRULE = 6, 7, 8
_NEWSET, _GETSET, _DELSET = 9, 10, 11
_NEWSETELEM, _GETSETELEM, _DELSETELEM = 12, 13, 14
_GETGEN = 16
_CREATE, _APPEND = 0x400, 0x800

_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_INTERVAL_END = 1
_VERDICT_TYPE = 0xFFFFFF00
_TYPE_BITS = 6
_MOST_BYTES = 60_000  # an attribute's length is a 16-bit number

_ATTRIBUTE = Struct("=HH")
_TWO_ATTRIBUTES = Struct("=HHHH")
_TABLE = text(1, TABLE)


# ---- writing


def messages(transaction: Transaction, family: Family) -> Iterator[Message]:
    """A transaction as nftables' messages, in an order in which each finds what it refers to."""
    nfproto = NFPROTO[family]

    def message(type: int, *attributes: bytes, flags: int = 0) -> Message:
        return Message(type, flags, nfproto, b"".join(attributes))

    if transaction.rebuild:
        yield message(_DELTABLE, _TABLE)
    if transaction.add_table or transaction.rebuild:
        yield message(_NEWTABLE, _TABLE, flags=_CREATE)
    for index, each in enumerate(transaction.add_sets):
        yield message(_NEWSET, _TABLE, *_set(each, index + 1), flags=_CREATE)
    for chain in transaction.add_chains:
        yield message(_NEWCHAIN, _TABLE, *_chain(chain), flags=_CREATE)
    for chain in transaction.replace_rules:
        yield message(_DELRULE, _TABLE, text(2, chain.name))
    for chain in (*transaction.add_chains, *transaction.replace_rules):
        for rule in chain.rules:
            yield message(_NEWRULE, _TABLE, text(2, chain.name), *_rule(rule), flags=_CREATE | _APPEND)
    deleted = (Element(each) for each in transaction.delete_elements)
    for name, packed in _packed(deleted, family):
        yield message(_DELSETELEM, _TABLE, text(2, name), packed)
    for name, packed in _packed(transaction.add_elements, family):
        yield message(_NEWSETELEM, _TABLE, text(2, name), packed, flags=_CREATE)
    for name in transaction.delete_chains:
        yield message(_DELRULE, _TABLE, text(2, name))
    for name in transaction.delete_chains:
        yield message(_DELCHAIN, _TABLE, text(3, name))
    for name in transaction.delete_sets:
        yield message(_DELSET, _TABLE, text(2, name))


def delete_table(family: Family) -> Message:
    return Message(_DELTABLE, 0, NFPROTO[family], _TABLE)


def _set(each: Set, id: int) -> tuple[bytes, ...]:
    flags = each.flags
    description = []
    if each.data is not None:
        flags |= SetFlag.MAP
    if each.size:
        description.append(u32(1, each.size))
    if SetFlag.INTERVAL in flags and len(each.key) > 1:
        flags |= SetFlag.CONCAT
        fields = (nested(1, u32(1, field.size)) for field in each.key)
        description.append(nested(2, *fields))
    attributes = [text(2, each.name), u32(3, flags), u32(4, _type(each.key)), u32(5, each.key_length)]
    if each.data == "verdict":
        attributes += [u32(6, _VERDICT_TYPE), u32(7, each.data_length)]
    elif each.data is not None:
        attributes += [u32(6, _type(each.data)), u32(7, each.data_length)]
    if description:
        attributes.append(nested(9, *description))
    return (*attributes, u32(10, id), attribute(13, _userdata(each)))


def _type(types: Iterable[Type]) -> int:
    number = 0
    for each in types:
        number = number << _TYPE_BITS | each.number
    return number


def _userdata(each: Set) -> bytes:
    """At least the byte order, without which nft shows 0x03000000 for 3."""
    if each.userdata:
        return each.userdata
    key = b"\0\4" + _byte_order(each.key)
    return key if each.data is None or each.data == "verdict" else key + b"\1\4" + _byte_order(each.data)


def _byte_order(types: tuple[Type, ...]) -> bytes:
    return layout.word(0 if len(types) > 1 else 1 if types[0].host_order else 2)


def _chain(chain: Chain) -> tuple[bytes, ...]:
    if chain.hook is None:
        return (text(3, chain.name),)
    hook = nested(4, u32(1, _HOOKS.index(chain.hook.name)), u32(2, chain.hook.priority))
    return (text(3, chain.name), hook, text(7, chain.hook.type))


def _rule(rule: Rule) -> tuple[bytes, ...]:
    expressions = attribute(4 | NESTED, rule.expressions)
    return (expressions, attribute(7, _comment(rule.comment))) if rule.comment else (expressions,)


@lru_cache(maxsize=64)
def _comment(comment: str) -> bytes:
    encoded = comment.encode() + b"\0"
    return bytes((0, len(encoded))) + encoded


@lru_cache(maxsize=64)
def _comment_attribute(comment: str) -> bytes:
    return attribute(6, _comment(comment))


@lru_cache(maxsize=4096)
def _verdict_attribute(verdict: Verdict) -> bytes:
    return verdict_data(verdict.chain, returns=verdict.returns)


def _packed(elements: Iterable[Element], family: Family) -> Iterator[tuple[str, bytes]]:
    """Elements as NFTA_SET_ELEM_LIST_ELEMENTS attributes, as many in one as it may hold."""
    sizes = {each.name: (each.key_length, each.data_length) for each in layout.sets(family)}
    prefixes = {
        name: (_prefix(1, key), _prefix(2, data) if data else b"") for name, (key, data) in sizes.items()
    }
    parts: dict[str, list[bytes]] = {}
    lengths: dict[str, int] = dict.fromkeys(prefixes, 0)
    for (name, key, key_end, interval_end), data, comment in elements:
        key_prefix, data_prefix = prefixes[name]
        body = key_prefix + key
        if data is not None:
            body += _verdict_attribute(data) if isinstance(data, Verdict) else data_prefix + data
        if interval_end:
            body += u32(3, _INTERVAL_END)
        if key_end:
            body += nested(10, attribute(1, key_end))
        if comment:
            body += _comment_attribute(comment)
        packed = _ATTRIBUTE.pack(4 + len(body), 1 | NESTED) + body
        if lengths[name] + len(packed) > _MOST_BYTES:
            yield name, attribute(3 | NESTED, b"".join(parts.pop(name)))
            lengths[name] = 0
        parts.setdefault(name, []).append(packed)
        lengths[name] += len(packed)
    for name, rest in parts.items():
        yield name, attribute(3 | NESTED, b"".join(rest))


def _prefix(type: int, length: int) -> bytes:
    """The headers before a key or value of a set, all of which are of one length, in whole words."""
    return _TWO_ATTRIBUTES.pack(8 + length, type | NESTED, 4 + length, 1)


# ---- reading


def read(socket: Socket, family: Family) -> Held:
    """What our table holds.

    Raises:
        NetlinkError: the kernel does not say; a table that is not there is no error.
    """
    nfproto = NFPROTO[family]
    if not any(_name(each, 1) == TABLE for each in socket.dump(_GETTABLE, nfproto)):
        return Held()
    try:
        sets = dict(_read_set(each) for each in socket.dump(_GETSET, nfproto) if _name(each, 1) == TABLE)
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
    family = next(family for family, number in NFPROTO.items() if number == reply.family)
    for known in layout.sets(family):
        if known.name == name and _same_set(known, found):
            return name, known
    flags = SetFlag(_number(found, 3) & 0x7C)
    return name, Set(name, (), None, flags)


def _same_set(known: Set, found: dict[int, memoryview]) -> bool:
    data_type = 0
    if known.data is not None:
        data_type = _VERDICT_TYPE if known.data == "verdict" else _type(known.data)
    flags = known.flags | (SetFlag.MAP if known.data is not None else SetFlag(0))
    if SetFlag.INTERVAL in flags and len(known.key) > 1:
        flags |= SetFlag.CONCAT
    size = _number(parse(found[9]), 1) if 9 in found else 0
    return (
        (_number(found, 3), _number(found, 4), _number(found, 5))
        == (flags, _type(known.key), known.key_length)
        and (_number(found, 6), _number(found, 7)) == (data_type, known.data_length)
        and size == known.size
        and bytes(found.get(13, b"")) == _userdata(known)
    )


def _read_chains(socket: Socket, nfproto: int) -> dict[str, Chain]:
    rules: dict[str, list[Rule]] = {}
    for reply in socket.dump(_GETRULE, nfproto, _TABLE):
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
            hook = Hook(string(found[7]), _HOOKS[_number(where, 1)], priority)
        chains[name] = Chain(name, tuple(rules.get(name, ())), hook)
    return chains


def _read_elements(socket: Socket, nfproto: int, each: Set, elements: dict[ElementKey, object]) -> None:
    for reply in socket.dump(_GETSETELEM, nfproto, _TABLE + text(2, each.name)):
        for kind, value in parse_list(reply.payload):
            if kind == 3:
                for _, element in parse_list(value):
                    found = parse(element)
                    key = bytes(found[1][4:])
                    key_end = bytes(found[10][4:]) if 10 in found else b""
                    ends = bool(_number(found, 3) & _INTERVAL_END)
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
