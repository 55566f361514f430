"""A table that takes transactions as the kernel does: all or nothing, and strictly."""

from __future__ import annotations

from wellhead.proxy.backends.nftables.held import Held
from wellhead.proxy.backends.nftables.layout import POLICIES
from wellhead.proxy.backends.nftables.objects import Chain, ElementKey, Set, Transaction, Verdict


class FakeTable:
    """Refuses (by assertion) what the kernel would: absent things deleted, present ones added, loose ends."""

    def __init__(self) -> None:
        self.exists = False
        self.sets: dict[str, Set] = {}
        self.chains: dict[str, Chain] = {}
        self.elements: dict[ElementKey, object] = {}

    def held(self) -> Held:
        return Held(self.exists, dict(self.sets), dict(self.chains), dict(self.elements))

    def commit(self, transaction: Transaction) -> None:
        if transaction.rebuild:
            self.__init__()  # type: ignore[misc]
        if transaction.add_table:
            assert not self.exists
            self.exists = True
        assert self.exists or not transaction
        for each in transaction.add_sets:
            assert each.name not in self.sets
            self.sets[each.name] = each
        for chain in transaction.add_chains:
            assert chain.name not in self.chains
            self.chains[chain.name] = chain
        for chain in transaction.replace_rules:
            assert chain.name in self.chains
            self.chains[chain.name] = chain
        for key in transaction.delete_elements:
            del self.elements[key]
        for element in transaction.add_elements:
            assert element.id.set in self.sets
            assert element.id not in self.elements, element
            key_length = self.sets[element.id.set].key_length
            assert len(element.id.key) == key_length, element
            if isinstance(element.data, bytes):
                assert len(element.data) == self.sets[element.id.set].data_length, element
            self.elements[element.id] = element.data
        for name in transaction.delete_chains:
            del self.chains[name]
        for name in transaction.delete_sets:
            del self.sets[name]
        for verdict in self.elements.values():
            assert not isinstance(verdict, Verdict) or verdict.chain in self.chains

    def policies(self) -> set[str]:
        return {str(data) for key, data in self.elements.items() if key.set == POLICIES}
