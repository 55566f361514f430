"""A transaction as messages to the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct

from wellhead.ip import Family
from wellhead.proxy.backends.nftables import layout
from wellhead.proxy.backends.nftables.expressions import verdict_data
from wellhead.proxy.backends.nftables.layout import TABLE
from wellhead.proxy.backends.nftables.netlink import NESTED, Message, attribute, nested, text, u32
from wellhead.proxy.backends.nftables.objects import (
    Chain,
    Element,
    Rule,
    Set,
    SetFlag,
    Transaction,
    Type,
    Verdict,
)

_NEWTABLE, _DELTABLE = 0, 2
_NEWCHAIN, _DELCHAIN = 3, 5
_NEWRULE, _DELRULE = 6, 8
_NEWSET, _DELSET = 9, 11
_NEWSETELEM, _DELSETELEM = 12, 14
_CREATE, _APPEND = 0x400, 0x800

HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
INTERVAL_END = 1
VERDICT_TYPE = 0xFFFFFF00
TABLE_NAME = text(1, TABLE)
_TYPE_BITS = 6
_MOST_BYTES = 60_000  # an attribute's length is a 16-bit number

_ATTRIBUTE = Struct("=HH")
_TWO_ATTRIBUTES = Struct("=HHHH")


def messages(transaction: Transaction, family: Family) -> Iterator[Message]:
    """A transaction as nftables' messages, in an order in which each finds what it refers to."""
    nfproto = family.number

    def message(type: int, *attributes: bytes, flags: int = 0) -> Message:
        return Message(type, flags, nfproto, b"".join(attributes))

    if transaction.rebuild:
        yield message(_DELTABLE, TABLE_NAME)
    if transaction.add_table or transaction.rebuild:
        yield message(_NEWTABLE, TABLE_NAME, flags=_CREATE)
    for index, each in enumerate(transaction.add_sets):
        yield message(_NEWSET, TABLE_NAME, *_set(each, index + 1), flags=_CREATE)
    for chain in transaction.add_chains:
        yield message(_NEWCHAIN, TABLE_NAME, *_chain(chain), flags=_CREATE)
    for chain in transaction.replace_rules:
        yield message(_DELRULE, TABLE_NAME, text(2, chain.name))
    for chain in (*transaction.add_chains, *transaction.replace_rules):
        for rule in chain.rules:
            yield message(_NEWRULE, TABLE_NAME, text(2, chain.name), *_rule(rule), flags=_CREATE | _APPEND)
    deleted = (Element(each) for each in transaction.delete_elements)
    for name, packed in _packed(deleted, family):
        yield message(_DELSETELEM, TABLE_NAME, text(2, name), packed)
    for name, packed in _packed(transaction.add_elements, family):
        yield message(_NEWSETELEM, TABLE_NAME, text(2, name), packed, flags=_CREATE)
    for name in transaction.delete_chains:
        yield message(_DELRULE, TABLE_NAME, text(2, name))
    for name in transaction.delete_chains:
        yield message(_DELCHAIN, TABLE_NAME, text(3, name))
    for name in transaction.delete_sets:
        yield message(_DELSET, TABLE_NAME, text(2, name))


def delete_table(family: Family, name: str = TABLE) -> Message:
    """Remove a table, ours or (of kube-proxy's) another."""
    return Message(_DELTABLE, 0, family.number, text(1, name))


def _set(each: Set, id: int) -> tuple[bytes, ...]:
    description = []
    if each.size:
        description.append(u32(1, each.size))
    if SetFlag.CONCAT in flags_of(each):
        fields = (nested(1, u32(1, field.size)) for field in each.key)
        description.append(nested(2, *fields))
    attributes = [
        text(2, each.name),
        u32(3, flags_of(each)),
        u32(4, type_number(each.key)),
        u32(5, each.key_length),
    ]
    if each.data == "verdict":
        attributes += [u32(6, VERDICT_TYPE), u32(7, each.data_length)]
    elif each.data is not None:
        attributes += [u32(6, type_number(each.data)), u32(7, each.data_length)]
    if description:
        attributes.append(nested(9, *description))
    return (*attributes, u32(10, id), attribute(13, userdata(each)))


def flags_of(each: Set) -> SetFlag:
    """All flags of a set, those that follow from its types included."""
    flags = each.flags
    if each.data is not None:
        flags |= SetFlag.MAP
    if SetFlag.INTERVAL in flags and len(each.key) > 1:
        flags |= SetFlag.CONCAT
    return flags


def type_number(types: Iterable[Type]) -> int:
    number = 0
    for each in types:
        number = number << _TYPE_BITS | each.number
    return number


def userdata(each: Set) -> bytes:
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
    hook = nested(4, u32(1, HOOKS.index(chain.hook.name)), u32(2, chain.hook.priority))
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
    parts: dict[str, list[bytes]] = {name: [] for name in prefixes}
    lengths: dict[str, int] = dict.fromkeys(prefixes, 0)
    for each in elements:
        at, data, comment = each.id, each.data, each.comment
        name = at.set
        key_prefix, data_prefix = prefixes[name]
        body = key_prefix + at.key
        if data is not None:
            body += data_prefix + data if type(data) is bytes else _verdict_attribute(data)
        if at.interval_end:
            body += u32(3, INTERVAL_END)
        if at.key_end:
            body += nested(10, attribute(1, at.key_end))
        if comment:
            body += _comment_attribute(comment)
        size = 4 + len(body)
        length = lengths[name] + size
        if length > _MOST_BYTES:
            yield name, attribute(3 | NESTED, b"".join(parts[name]))
            parts[name].clear()
            length = size
        parts[name] += (_ATTRIBUTE.pack(size, 1 | NESTED), body)
        lengths[name] = length
    for name, rest in parts.items():
        if rest:
            yield name, attribute(3 | NESTED, b"".join(rest))


def _prefix(type: int, length: int) -> bytes:
    """The headers before a key or value of a set, all of which are of one length, in whole words."""
    return _TWO_ATTRIBUTES.pack(8 + length, type | NESTED, 4 + length, 1)
