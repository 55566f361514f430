"""A table for tests without root: it takes transactions as the kernel does, as strictly, all or nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from wellhead.linux.netlink import NetlinkError, parse, parse_list, string
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.content import Content
from wellhead.linux.nftables.objects import Chain, Element, ElementKey, Set, Transaction
from wellhead.linux.nftables.statements import Verdict


class FakeTable:
    """What there is of one table, and the transactions that change it.

    Stricter than the kernel where that would let a mistake pass: to add what is there already, or a key or
    value of another length than the set's.
    """

    def __init__(self) -> None:
        self.exists = False
        self.sets: dict[str, Set] = {}
        self.chains: dict[str, Chain] = {}
        self.elements: dict[ElementKey, object] = {}

    def content(self) -> Content:
        """As it is read from the kernel."""
        chains = {name: each.encoded for name, each in self.chains.items()}
        return Content(self.exists, dict(self.sets), chains, dict(self.elements))

    def commit(self, transaction: Transaction) -> None:
        """Put a transaction in force.

        Raises:
            NetlinkError: it is refused (ENOENT, EEXIST, EINVAL, EBUSY); all is as it was.
        """
        after = FakeTable()
        if not transaction.rebuild:
            after.exists = self.exists
            after.sets, after.chains = dict(self.sets), dict(self.chains)
            after.elements = dict(self.elements)
        elif not self.exists:
            raise NetlinkError(errno.ENOENT, "no such table")
        after._change(transaction)
        self.__dict__.update(after.__dict__)

    def _change(self, transaction: Transaction) -> None:
        if transaction.add_table or transaction.rebuild:
            _refuse(errno.EEXIST, self.exists, "table")
            self.exists = True
        _refuse(errno.ENOENT, bool(transaction) and not self.exists, "table")
        for each in transaction.add_sets:
            _refuse(errno.EEXIST, each.name in self.sets, each.name)
            self.sets[each.name] = each
        for chain in transaction.add_chains:
            _refuse(errno.EEXIST, chain.name in self.chains, chain.name)
            self.chains[chain.name] = chain
        for chain in transaction.replace_rules:
            _refuse(errno.ENOENT, chain.name not in self.chains, chain.name)
            self.chains[chain.name] = chain
        for key in transaction.delete_elements:
            _refuse(errno.ENOENT, key not in self.elements, key)
            del self.elements[key]
        for element in transaction.add_elements:
            self._add(element)
        for name in transaction.delete_chains:
            _refuse(errno.ENOENT, self.chains.pop(name, None) is None, name)
        for name in transaction.delete_sets:
            _refuse(errno.ENOENT, self.sets.pop(name, None) is None, name)
            self.elements = {key: data for key, data in self.elements.items() if key.set != name}
        self._check_references()

    def _add(self, element: Element) -> None:
        found = self.sets.get(element.id.set)
        if found is None:
            raise NetlinkError(errno.ENOENT, element.id.set)
        _refuse(errno.EEXIST, element.id in self.elements, element)
        _refuse(errno.EINVAL, len(element.id.key) != found.key_length, element)
        _refuse(errno.EINVAL, element.id.key_end and len(element.id.key_end) != found.key_length, element)
        match element.data:
            case None:
                _refuse(errno.EINVAL, found.data is not None and not element.id.interval_end, element)
            case bytes():
                _refuse(errno.EINVAL, len(element.data) != found.data_length, element)
            case Verdict():
                _refuse(errno.EINVAL, found.data != "verdict", element)
        self.elements[element.id] = element.data

    def _check_references(self) -> None:
        """Whatever is named is there: the kernel keeps what is in use, and finds what it is to use."""
        for data in self.elements.values():
            _refuse(errno.EBUSY, isinstance(data, Verdict) and data.chain not in self.chains, data)
        for chain in self.chains.values():
            for rule in chain.rules:
                for kind, name in references(rule.encoded.expressions):
                    known = self.sets if kind == "set" else self.chains
                    _refuse(errno.ENOENT, name not in known, f"{chain.name}: {rule}: {kind} {name}")


def references(expressions: bytes) -> Iterator[tuple[str, str]]:
    """The sets and chains that a rule names, as (`set` or `chain`, name)."""
    for _, each in parse_list(memoryview(expressions)):
        found = parse(each)
        name = string(found[nfta.Expression.NAME])
        data = parse(found.get(nfta.Expression.DATA, memoryview(b"")))
        if name == "lookup":
            yield "set", string(data[nfta.Lookup.SET])
        elif name == "dynset":
            yield "set", string(data[nfta.DynamicSet.NAME])
        elif name == "immediate":
            verdict = parse(parse(data[nfta.Immediate.DATA]).get(nfta.Data.VERDICT, memoryview(b"")))
            if nfta.Verdict.CHAIN in verdict:
                yield "chain", string(verdict[nfta.Verdict.CHAIN])


def _refuse(number: int, condition: object, what: object) -> None:
    if condition:
        raise NetlinkError(number, str(what))
