"""A transaction as messages to the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct

from wellhead.linux.netlink import NESTED, attribute, nested, text, u32
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables import typeof
from wellhead.linux.nftables.objects import Chain, Element, Rule, Set, SetFlag, Table, Transaction
from wellhead.linux.nftables.socket import Message
from wellhead.linux.nftables.statements import verdict_data
from wellhead.linux.nftables.types import Type

_CREATE, _APPEND = 0x400, 0x800

HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
INTERVAL_END = 1
VERDICT_TYPE = 0xFFFFFF00
_TYPE_BITS = 6
_MOST_BYTES = 60_000  # an attribute's length is a 16-bit number

_ATTRIBUTE = Struct("=HH")
_TWO_ATTRIBUTES = Struct("=HHHH")
_KEY, _DATA, _KEY_END = map(int, (nfta.Element.KEY, nfta.Element.DATA, nfta.Element.KEY_END))
_END_OF_INTERVAL = u32(nfta.Element.FLAGS, INTERVAL_END)
_LIST_ELEMENT = nfta.ListOf.ELEMENT | NESTED
_LIST = int(nfta.Elements.ELEMENTS | NESTED)
_VALUE = int(nfta.Data.VALUE)
_OWNER, _PERSIST = 0x2, 0x4
_OWNED = u32(nfta.Table.FLAGS, _OWNER | _PERSIST)


def messages(transaction: Transaction, table: Table, *, owned: bool = False) -> Iterator[Message]:
    """A transaction as nftables' messages, in an order in which each finds what it refers to.

    `owned`: a table that it makes is this process' own.
    """
    kind = nfta.Message
    name = text(nfta.Table.NAME, table.name)

    def message(type: nfta.Message, *attributes: bytes, flags: int = 0) -> Message:
        return Message(type, flags, table.family.number, name + b"".join(attributes))

    if transaction.rebuild:
        yield message(kind.DEL_TABLE)
    if transaction.add_table or transaction.rebuild:
        yield message(kind.NEW_TABLE, *([_OWNED] if owned else []), flags=_CREATE)
    for index, each in enumerate(transaction.add_sets):
        yield message(kind.NEW_SET, *_set(each, index + 1), flags=_CREATE)
    for chain in transaction.add_chains:
        yield message(kind.NEW_CHAIN, *_chain(chain), flags=_CREATE)
    for chain in transaction.replace_rules:
        yield message(kind.DEL_RULE, text(nfta.Rule.CHAIN, chain.name))
    for chain in (*transaction.add_chains, *transaction.replace_rules):
        for rule in chain.rules:
            of = text(nfta.Rule.CHAIN, chain.name)
            yield message(kind.NEW_RULE, of, *_rule(rule), flags=_CREATE | _APPEND)
    deleted = (Element(each) for each in transaction.delete_elements)
    for set_name, packed in _packed(deleted, table):
        yield message(kind.DEL_SET_ELEMENT, text(nfta.Elements.SET, set_name), packed)
    for set_name, packed in _packed(transaction.add_elements, table):
        yield message(kind.NEW_SET_ELEMENT, text(nfta.Elements.SET, set_name), packed, flags=_CREATE)
    for chain_name in transaction.delete_chains:
        yield message(kind.DEL_RULE, text(nfta.Rule.CHAIN, chain_name))
    for chain_name in transaction.delete_chains:
        yield message(kind.DEL_CHAIN, text(nfta.Chain.NAME, chain_name))
    for set_name in transaction.delete_sets:
        yield message(kind.DEL_SET, text(nfta.Set.NAME, set_name))


def own_table(family: int, name: str, *, new: bool = False) -> Message:
    """Make a table this process' own: one that there is and nobody owns, or a new one."""
    of = text(nfta.Table.NAME, name) + _OWNED
    return Message(nfta.Message.NEW_TABLE, _CREATE if new else 0, family, of)


def delete_table(family: int, name: str) -> Message:
    """Remove a table, of a family by its number (NFPROTO_…)."""
    return Message(nfta.Message.DEL_TABLE, 0, family, text(nfta.Table.NAME, name))


def _set(each: Set, id: int) -> tuple[bytes, ...]:
    kind = nfta.Set
    description = []
    if each.size:
        description.append(u32(nfta.SetDescription.SIZE, each.size))
    if SetFlag.CONCAT in each.all_flags:
        fields = (nested(nfta.ListOf.ELEMENT, u32(nfta.SetField.LENGTH, field.size)) for field in each.key)
        description.append(nested(nfta.SetDescription.CONCAT, *fields))
    attributes = [
        text(kind.NAME, each.name),
        u32(kind.FLAGS, each.all_flags),
        u32(kind.KEY_TYPE, type_number(each.key)),
        u32(kind.KEY_LENGTH, each.key_length),
    ]
    if each.data is not None:
        data_type = VERDICT_TYPE if each.data == "verdict" else type_number(each.data)
        attributes += [u32(kind.DATA_TYPE, data_type), u32(kind.DATA_LENGTH, each.data_length)]
    if description:
        attributes.append(nested(kind.DESCRIPTION, *description))
    return (*attributes, u32(kind.ID, id), attribute(kind.USERDATA, each.userdata))


def type_number(types: Iterable[Type]) -> int:
    """A key's or value's type as nft numbers it, concatenations included."""
    number = 0
    for each in types:
        number = number << _TYPE_BITS | each.number
    return number


def _chain(chain: Chain) -> tuple[bytes, ...]:
    name = text(nfta.Chain.NAME, chain.name)
    if chain.hook is None:
        return (name,)
    number, priority = HOOKS.index(chain.hook.name), chain.hook.priority
    hook = nested(nfta.Chain.HOOK, u32(nfta.Hook.NUMBER, number), u32(nfta.Hook.PRIORITY, priority))
    return (name, hook, text(nfta.Chain.TYPE, chain.hook.type))


def _rule(rule: Rule) -> tuple[bytes, ...]:
    found = rule.encoded
    expressions = attribute(nfta.Rule.EXPRESSIONS | NESTED, found.expressions)
    if not found.comment:
        return (expressions,)
    return (expressions, attribute(nfta.Rule.USERDATA, typeof.comment(found.comment)))


@lru_cache(maxsize=64)
def _comment(comment: str) -> bytes:
    return attribute(nfta.Element.USERDATA, typeof.comment(comment))


def _packed(elements: Iterable[Element], table: Table) -> Iterator[tuple[str, bytes]]:
    """Elements as NFTA_SET_ELEM_LIST_ELEMENTS attributes, as many in one as it may hold."""
    sets: dict[str, tuple[bytes, bytes, bytes, list[bytes]]] = {}
    lengths: dict[str, int] = {}
    comment, tail = "", b""
    for each in elements:
        at, data = each.id, each.data
        name = at.set
        found = sets.get(name)
        if found is None:
            key_length, data_length = table.lengths[name]
            filling = bytes(-key_length & 3)
            data_prefix = filling + _prefix(_DATA, data_length)
            found = sets[name] = _prefix(_KEY, key_length), filling, data_prefix, []
            lengths[name] = 0
        key_prefix, filling, data_prefix, parts = found
        if each.comment is not comment:  # an object's elements have it in common
            comment = each.comment
            tail = _comment(comment) if comment else b""
        if type(data) is bytes:
            body = key_prefix + at.key + data_prefix + data + tail
        else:
            body = key_prefix + at.key + filling
            if data is not None:
                body += verdict_data(data)
            if at.interval_end:
                body += _END_OF_INTERVAL
            if at.key_end:
                body += nested(_KEY_END, attribute(_VALUE, at.key_end))
            body += tail
        size = 4 + len(body)
        length = lengths[name] + size
        if length > _MOST_BYTES:
            yield name, attribute(_LIST, b"".join(parts))
            parts.clear()
            length = size
        parts += (_ATTRIBUTE.pack(size, _LIST_ELEMENT), body)
        lengths[name] = length
    for name, (_, _, _, parts) in sets.items():
        if parts:
            yield name, attribute(_LIST, b"".join(parts))


@lru_cache(maxsize=64)
def _prefix(type: int, length: int) -> bytes:
    """The headers before a key or value of a set, all of which are of one length."""
    return _TWO_ATTRIBUTES.pack(8 + length, type | NESTED, 4 + length, _VALUE)
