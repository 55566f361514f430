"""What a table holds: reading it from the kernel, and what makes it into what it should be."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Protocol

from wellhead.ip import Family
from wellhead.linux.netlink import NetlinkError, parse, parse_list, string, text
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.messages import (
    HOOKS,
    INTERVAL_END,
    VERDICT_TYPE,
    delete_table,
    own_table,
    type_number,
)
from wellhead.linux.nftables.objects import (
    Chain,
    Element,
    ElementKey,
    EncodedChain,
    EncodedRule,
    Hook,
    Set,
    SetFlag,
    Table,
    Transaction,
)
from wellhead.linux.nftables.socket import Reply, Socket
from wellhead.linux.nftables.statements import read_verdict

_KNOWN_FLAGS = 0x7C
_LENGTH = Struct("=H")


@dataclass(frozen=True, slots=True)
class Content:
    """What a table holds; the elements of dynamic maps left out."""

    exists: bool = False
    sets: Mapping[str, Set] = field(default_factory=dict)
    """One that is as the table declares it is that very one."""
    chains: Mapping[str, EncodedChain] = field(default_factory=dict)
    elements: Mapping[ElementKey, object] = field(default_factory=dict)
    """Keys and values."""


class Wanted(Protocol):
    """What a table should hold, its elements left out."""

    @property
    def table(self) -> Table: ...

    @property
    def chains(self) -> Mapping[str, Chain]: ...


def read(socket: Socket, table: Table) -> Content:
    """What a table holds: all its chains, and the elements of the sets that it declares.

    Raises:
        NetlinkError: the kernel does not say; a table that is not there is no error.
    """
    if not _is_there(socket, table):
        return Content()
    family = table.family.number
    try:
        sets = dict(
            _read_set(found, table)
            for each in socket.dump(nfta.Message.GET_SET, family)
            if string((found := parse(each.payload))[nfta.Set.TABLE]) == table.name
            and not _number(found, nfta.Set.FLAGS)
            & SetFlag.ANONYMOUS  # written out in a rule, and that's own
        )
        chains = _read_chains(socket, table)
        known = {each.name: each for each in table.sets}
        elements: dict[ElementKey, object] = {}
        for set_name, held in sets.items():
            if SetFlag.DYNAMIC not in held.flags and known.get(set_name) == held:
                elements |= read_set(socket, table.family, table.name, set_name)
    except NetlinkError:
        if _is_there(socket, table):
            raise
        return Content()  # it went while being read
    return Content(True, sets, chains, elements)


def read_set(socket: Socket, family: Family, table: str, name: str) -> dict[ElementKey, object]:
    """The elements of one set or map.

    Raises:
        NetlinkError: there is no such set, say.
    """
    elements: dict[ElementKey, object] = {}
    of = text(nfta.Table.NAME, table) + text(nfta.Elements.SET, name)
    for reply in socket.dump(nfta.Message.GET_SET_ELEMENT, family.number, of):
        _read_elements(reply, name, elements)
    return elements


def remove(socket: Socket, family: Family, name: str) -> bool:
    """Remove a table. Returns whether there was one.

    Raises:
        NetlinkError: it is still there.
    """
    try:
        socket.transact([delete_table(family.number, name)])
    except NetlinkError as error:
        if error.errno in (errno.ENOENT, errno.EAFNOSUPPORT):
            return False
        raise
    return True


def can_own(socket: Socket, family: Family) -> bool:
    """Whether this kernel lets a process own a table that outlives it. Nothing is left behind."""
    scratch = f"wellhead-probe-{socket.port_id}"
    try:
        socket.transact([own_table(family.number, scratch, new=True), delete_table(family.number, scratch)])
    except NetlinkError:
        return False
    return True


def own(socket: Socket, table: Table) -> bool:
    """Make a table that there is this process' own. False: it isn't of that nature, or isn't there.

    Raises:
        NetlinkError: it is another process' (EPERM), say.
    """
    try:
        socket.transact([own_table(table.family.number, table.name)])
    except NetlinkError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOENT):
            return False
        raise
    return True


def _is_there(socket: Socket, table: Table) -> bool:
    found = socket.dump(nfta.Message.GET_TABLE, table.family.number)
    return any(string(parse(each.payload)[nfta.Table.NAME]) == table.name for each in found)


def _number(found: dict[int, memoryview], type: int) -> int:
    return int.from_bytes(found[type], "big") if type in found else 0


def _read_set(found: dict[int, memoryview], table: Table) -> tuple[str, Set]:
    name = string(found[nfta.Set.NAME])
    for known in table.sets:
        if known.name == name and _same_set(known, found):
            return name, known
    return name, Set(name, (), None, SetFlag(_number(found, nfta.Set.FLAGS) & _KNOWN_FLAGS))


def _same_set(known: Set, found: dict[int, memoryview]) -> bool:
    kind = nfta.Set
    data_type = 0
    if known.data is not None:
        data_type = VERDICT_TYPE if known.data == "verdict" else type_number(known.data)
    description = parse(found[kind.DESCRIPTION]) if kind.DESCRIPTION in found else {}
    key = (known.all_flags, type_number(known.key), known.key_length)
    return (
        (_number(found, kind.FLAGS), _number(found, kind.KEY_TYPE), _number(found, kind.KEY_LENGTH)) == key
        and (_number(found, kind.DATA_TYPE), _number(found, kind.DATA_LENGTH))
        == (data_type, known.data_length)
        and _number(description, nfta.SetDescription.SIZE) == known.size
        and bytes(found.get(kind.USERDATA, b"")) == known.userdata
    )


def _read_chains(socket: Socket, table: Table) -> dict[str, EncodedChain]:
    family = table.family.number
    rules: dict[str, list[EncodedRule]] = {}
    for reply in socket.dump(nfta.Message.GET_RULE, family, text(nfta.Table.NAME, table.name)):
        found = parse(reply.payload)
        if string(found[nfta.Rule.TABLE]) == table.name:
            comment = string(found[nfta.Rule.USERDATA][2:]) if nfta.Rule.USERDATA in found else ""
            expressions = bytes(found.get(nfta.Rule.EXPRESSIONS, b""))
            rules.setdefault(string(found[nfta.Rule.CHAIN]), []).append(EncodedRule(expressions, comment))
    chains = {}
    for reply in socket.dump(nfta.Message.GET_CHAIN, family):
        found = parse(reply.payload)
        if string(found[nfta.Chain.TABLE]) == table.name:
            name = string(found[nfta.Chain.NAME])
            chains[name] = EncodedChain(tuple(rules.get(name, ())), _read_hook(found))
    return chains


def _read_hook(found: dict[int, memoryview]) -> Hook | None:
    if nfta.Chain.HOOK not in found:
        return None
    where = parse(found[nfta.Chain.HOOK])
    priority = int.from_bytes(where[nfta.Hook.PRIORITY], "big", signed=True)
    return Hook(string(found[nfta.Chain.TYPE]), HOOKS[_number(where, nfta.Hook.NUMBER)], priority)


def _read_elements(reply: Reply, set_name: str, elements: dict[ElementKey, object]) -> None:
    kind = nfta.Element
    for what, value in parse_list(reply.payload):
        if what == nfta.Elements.ELEMENTS:
            for _, element in parse_list(value):
                found = parse(element)
                key = _bare(found[kind.KEY])
                key_end = _bare(found[kind.KEY_END]) if kind.KEY_END in found else b""
                ends = bool(_number(found, kind.FLAGS) & INTERVAL_END)
                data = _read_data(found[kind.DATA]) if kind.DATA in found else None
                elements[ElementKey(set_name, key, key_end, ends)] = data


def _bare(key: memoryview) -> bytes:
    """The key in its attribute, without what fills that up to whole words."""
    return bytes(key[4 : _LENGTH.unpack_from(key)[0]])


def _read_data(data: memoryview) -> object:
    what, value = next(parse_list(data))
    if what == nfta.Data.VALUE:
        return bytes(value)
    verdict = parse(value)
    code = int.from_bytes(verdict[nfta.Verdict.CODE], "big", signed=True)
    return read_verdict(code, string(verdict[nfta.Verdict.CHAIN]) if nfta.Verdict.CHAIN in verdict else "")


def difference(wanted: Wanted, elements: Iterable[Element], held: Content) -> Transaction:
    """What makes a table that is as `held` says into what it should be: `elements` and `wanted`."""
    sets = wanted.table.sets
    if not held.exists:
        return Transaction(
            add_table=True,
            add_sets=list(sets),
            add_chains=list(wanted.chains.values()),
            add_elements=list(elements),
        )
    if _incompatible(wanted, held):
        found = difference(wanted, elements, Content())
        found.rebuild = True
        return found
    transaction = Transaction()
    transaction.add_sets = [each for each in sets if each.name not in held.sets]
    wanted_sets = {each.name for each in sets}
    transaction.delete_sets = [name for name in held.sets if name not in wanted_sets]
    for chain in wanted.chains.values():
        there = held.chains.get(chain.name)
        if there is None:
            transaction.add_chains.append(chain)
        elif there.rules != chain.encoded.rules:
            transaction.replace_rules.append(chain)
    transaction.delete_chains = [name for name in held.chains if name not in wanted.chains]
    range_sets = {each.name for each in sets if each.is_ranges}
    rest = dict(held.elements)
    ranges: list[Element] = []
    for each in elements:
        if each.id.set in range_sets:
            ranges.append(each)
            continue
        data = rest.pop(each.id, _ABSENT)
        if data is _ABSENT:
            transaction.add_elements.append(each)
        elif data != each.data:
            transaction.delete_elements.append(each.id)
            transaction.add_elements.append(each)
    held_ranges = sorted(each for each in rest if each.set in range_sets)
    transaction.delete_elements += (
        each for each in rest if each.set in wanted_sets and each.set not in range_sets
    )
    replace_ranges(wanted.table, held_ranges, ranges, transaction)
    return transaction


def replace_ranges(
    table: Table, old: Iterable[ElementKey], new: Iterable[Element], transaction: Transaction
) -> None:
    """Change sets of address ranges: all of a set that changes at all.

    An interval is two elements, and the kernel is particular about seeing both, start before end.
    """
    for name in (each.name for each in table.sets if each.is_ranges):
        before = [each for each in old if each.set == name]
        after = [each for each in new if each.id.set == name]
        if before != [each.id for each in after]:
            transaction.delete_elements += before
            transaction.add_elements += after


_ABSENT = object()


def _incompatible(wanted: Wanted, held: Content) -> bool:
    """Whether something has our name and another nature: another version's, or somebody's own."""
    if any(each != held.sets.get(each.name, each) for each in wanted.table.sets):
        return True
    return any(
        each.name in held.chains and held.chains[each.name].hook != each.hook
        for each in wanted.chains.values()
    )
