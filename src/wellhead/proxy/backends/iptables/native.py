"""iptables-nft's tables by netlink: what its programs take too long for.

iptables-restore reads the text of 80,000 rules in 7 s, of which the kernel takes one, and iptables-save reads
them back in 2 to 4. What these programs would hand to the kernel is handed over here, and read, changed and
removed with iptables as if it had been iptables' own. Calls block.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from wellhead.ip import Family
from wellhead.linux.netlink import attribute, parse, string, text
from wellhead.linux.nftables import attributes as nfta
from wellhead.linux.nftables.socket import Batch, Message, Socket
from wellhead.proxy.backends.iptables.encoding import encoded_rule, expressions, uncounted
from wellhead.proxy.backends.iptables.names import is_ours
from wellhead.proxy.backends.iptables.port_rules import Chain, Rules
from wellhead.proxy.backends.iptables.saved import Saved
from wellhead.proxy.backends.iptables.transaction import Changes, Edits, edits

_ECHO, _CREATE, _APPEND = 0x8, 0x400, 0x800
_BATCH = 8000  # messages
_NAME = re.compile(rb"KUBE-[A-Z0-9-]+")
_UNKNOWN: Rules = ("# unknown",)
"""What stands for the rules of a chain that aren't all as wanted: it is written whole, then."""


class NativeTables:
    """The tables of one family, in the network namespace of the thread that makes this.

    Raises:
        OSError: there is no nftables here.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._socket = Socket()
        self._handles: dict[Chain, dict[str, bytes]] = {}
        """The kernel's numbers for the rules of large chains that were edited: to ask for them takes long."""

    def close(self) -> None:
        self._socket.close()

    def forget(self) -> None:
        """Others, or iptables itself, may have changed chains of ours."""
        self._handles.clear()

    def read(
        self, tables: Iterable[str], wanted: Mapping[Chain, Rules], jumps: Mapping[Chain, Rules]
    ) -> Saved | None:
        """What `tables` hold of ours, as far as it matters to somebody who wants `wanted` and `jumps` there.

        None where others' rules lead to our chains, or built-in chains have other jumps there than `jumps`:
        that takes reading them as text.

        Raises:
            NetlinkError: the kernel doesn't say.
        """
        saved = Saved()
        chains = [each for each in self._chains() if each.table in tables]
        for chain in chains:
            if is_ours(chain.name):
                rules = wanted.get(chain)
                saved.chains[chain] = _UNKNOWN
                if rules is not None and self._expressions(chain) == self._encoded(rules):
                    saved.chains[chain] = rules
                continue
            leading = [each for each in self._expressions(chain) if _leads_to_us(each)]
            if not leading:
                continue
            if leading != self._encoded(jumps.get(chain, ())):
                return None
            saved.jumps[chain] = jumps[chain]
        return saved

    def load(self, chains: Mapping[Chain, Rules]) -> None:
        """Make `chains`, which nothing leads to yet.

        Raises:
            NetlinkError: the kernel refuses one. Some may be there then, some of them without their rules.
            ValueError: a rule has something that isn't known here. Likewise.
        """
        messages = itertools.chain(self._new_chains(chains), self._new_rules(chains))

        def encode() -> Batch | None:
            found = list(itertools.islice(messages, _BATCH))
            return self._socket.batch(found) if found else None

        # The kernel takes a batch without Python's lock: the one after it is encoded meanwhile.
        with ThreadPoolExecutor(1) as encoder:
            ahead = encoder.submit(encode)
            while batch := ahead.result():
                ahead = encoder.submit(encode)
                self._socket.commit(batch)

    def change(self, changes: Changes, saved: Saved) -> bool:
        """Put `changes` in force, all of them at once, where `saved` holds now.

        Returns whether the rules that are to go were all there; nothing is done otherwise.

        Raises:
            NetlinkError: the kernel refuses, and nothing is done.
            ValueError: as `load`.
        """
        kind, number = nfta.Message, self._family.number
        emptied: list[Chain] = []
        filled: dict[Chain, Rules] = {}
        edited: list[Message] = []
        added: list[tuple[Chain, str]] = []
        known, self._handles = self._handles, {}  # should this fail half-way, they have to be asked for again
        for chain, wanted in changes.items():
            now = saved.chains.get(chain)
            single = edits(now, wanted) if now and wanted else None
            if single is not None and now and wanted:
                handles = known.get(chain) or self._ask_for(chain, now, single)
                if handles is None:
                    return False
                edited += self._edits(chain, single, wanted, handles)
                added += ((chain, rule) for rule in single.added.values())
                known[chain] = handles
                continue
            known.pop(chain, None)
            if now is not None:
                emptied.append(chain)
            if wanted is not None:
                filled[chain] = wanted
        gone = [each for each in emptied if each not in filled and each not in saved.referenced]
        made = self._socket.transact(
            [
                *self._new_chains(filled),  # of which new rules may speak
                *(Message(kind.DEL_RULE, 0, number, _of(each, nfta.Rule.CHAIN)) for each in emptied),
                *self._new_rules(filled),
                *edited,
                *(Message(kind.DEL_CHAIN, 0, number, _of(each, nfta.Chain.NAME)) for each in gone),
            ]
        )
        for (chain, rule), reply in zip(added, made, strict=True):
            known[chain][rule] = bytes(parse(reply.payload)[nfta.Rule.HANDLE])
        self._handles = known
        return True

    def _ask_for(self, chain: Chain, now: Rules, single: Edits) -> dict[str, bytes] | None:
        """The handles of a chain's rules, which are `now`; None where those that are to go aren't there."""
        found = list(self._dump(chain))
        if len(found) != len(now):
            return None
        there = dict(zip(now, found, strict=True))
        if any(there[each][1] != expressions(self._family, each) for each in single.removed):
            return None
        return {rule: handle for rule, (handle, _) in there.items()}

    def _edits(
        self, chain: Chain, single: Edits, wanted: Rules, handles: dict[str, bytes]
    ) -> Iterator[Message]:
        """Single changes to a chain's rules; of those that go, the handles go, too."""
        kind, number, where = nfta.Message, self._family.number, _of(chain, nfta.Rule.CHAIN)
        for rule in single.removed:
            which = attribute(nfta.Rule.HANDLE, handles.pop(rule))
            yield Message(kind.DEL_RULE, 0, number, where + which)
        for place, rule in single.added.items():
            after = next((each for each in range(place + 1, len(wanted)) if each not in single.added), None)
            what, flags = encoded_rule(self._family, rule), _ECHO | _CREATE | _APPEND
            if after is not None:  # before the rule that is to follow
                what += attribute(nfta.Rule.POSITION, handles[wanted[after]])
                flags = _ECHO | _CREATE
            yield Message(kind.NEW_RULE, flags, number, where + what)

    def _chains(self) -> Iterator[Chain]:
        for reply in self._socket.dump(nfta.Message.GET_CHAIN, self._family.number):
            found = parse(reply.payload)
            yield Chain(string(found[nfta.Chain.TABLE]), string(found[nfta.Chain.NAME]))

    def _dump(self, chain: Chain) -> Iterator[tuple[bytes, bytes]]:
        """The handle and the expressions of each rule. Of whole tables the kernel takes thrice as long."""
        where = _of(chain, nfta.Rule.CHAIN)
        for reply in self._socket.dump(nfta.Message.GET_RULE, self._family.number, where):
            found = parse(reply.payload)
            yield bytes(found[nfta.Rule.HANDLE]), uncounted(bytes(found[nfta.Rule.EXPRESSIONS]))

    def _expressions(self, chain: Chain) -> list[bytes]:
        return [each for _, each in self._dump(chain)]

    def _encoded(self, rules: Rules) -> list[bytes]:
        return [expressions(self._family, each) for each in rules]

    def _new_chains(self, chains: Iterable[Chain]) -> Iterator[Message]:
        """Those that are there already are left as they are."""
        kind, number = nfta.Message, self._family.number
        for table in dict.fromkeys(each.table for each in chains):
            yield Message(kind.NEW_TABLE, _CREATE, number, text(nfta.Table.NAME, table))
        for chain in chains:
            yield Message(kind.NEW_CHAIN, _CREATE, number, _of(chain, nfta.Chain.NAME))

    def _new_rules(self, chains: Mapping[Chain, Rules]) -> Iterator[Message]:
        for chain, rules in chains.items():
            where = _of(chain, nfta.Rule.CHAIN)
            for rule in rules:
                what = where + encoded_rule(self._family, rule)
                yield Message(nfta.Message.NEW_RULE, _CREATE | _APPEND, self._family.number, what)


def _of(chain: Chain, kind: nfta.Rule | nfta.Chain) -> bytes:
    return text(nfta.Table.NAME, chain.table) + text(kind, chain.name)


def _leads_to_us(expressions: bytes) -> bool:
    return any(is_ours(each.decode()) for each in _NAME.findall(expressions))
