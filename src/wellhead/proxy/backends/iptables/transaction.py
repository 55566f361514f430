"""From what a kernel holds to what it should hold, as input for iptables-restore --noflush."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wellhead.proxy.backends.iptables.node_rules import JUMPS
from wellhead.proxy.backends.iptables.port_rules import Chain, Rules
from wellhead.proxy.backends.iptables.saved import Saved, same

_LARGE = 64  # rules: chains that hold entries of all Services

TABLES = ("filter", "nat")
"""The tables that hold our rules, in the order of restoring: a refusal stands before its forwarding goes."""

Changes = Mapping[Chain, Rules | None]
"""What chains should hold; None: the chain should not exist."""


def differing(wanted: Changes, saved: Saved) -> dict[Chain, Rules | None]:
    """Of the chains in `wanted`, those that are not so."""
    return {chain: rules for chain, rules in wanted.items() if not _is(chain, rules, saved)}


def _is(chain: Chain, rules: Rules | None, saved: Saved) -> bool:
    now = saved.chains.get(chain)
    if rules is None:
        return now is None or (now == () and chain in saved.referenced)
    return now is not None and same(rules, now)


def restore_input(changes: Changes, saved: Saved, jumps: Mapping[Chain, Rules] = JUMPS) -> str:
    """What to feed iptables-restore to put `changes` and the jumps in force; empty when nothing is to do.

    Only the chains in `changes` are flushed and filled again, and of a large one in which little changes only
    that: iptables-nft takes seven times as long for all of KUBE-SERVICES as for one rule of it. Each table is
    replaced in one step: no packet sees a chain half made.
    """
    tables = dict.fromkeys((*TABLES, *(chain.table for chain in changes)))
    return "".join(_table(table, changes, saved, jumps) for table in tables)


def _table(table: str, changes: Changes, saved: Saved, jumps: Mapping[Chain, Rules]) -> str:
    ours = sorted(
        (chain.name, rules or (), rules is None) for chain, rules in changes.items() if chain.table == table
    )
    edited = {name: _edit(name, saved.chains.get(Chain(table, name), ()), rules) for name, rules, _ in ours}
    lines = [f":{name} - [0:0]" for name, _, _ in ours if not edited[name]]
    for name, rules, _ in ours:
        lines += edited[name] or rules
    for chain in sorted({each for each in (*jumps, *saved.jumps) if each.table == table}):
        lines += _jumps(chain, saved.jumps.get(chain, ()), jumps.get(chain, ()))
    # A chain that others' rules lead to can't go; it stays, empty, and lets their packets pass.
    lines += [
        f"-X {name}" for name, _, unwanted in ours if unwanted and Chain(table, name) not in saved.referenced
    ]
    return "\n".join([f"*{table}", *lines, "COMMIT", ""]) if lines else ""


@dataclass(frozen=True, slots=True)
class Edits:
    """Single changes that make a chain's rules into others."""

    removed: Rules
    added: Mapping[int, str]
    """Rules by the place that they then have."""


def edits(now: Rules, wanted: Rules) -> Edits | None:
    """The single changes to a large chain of which little changes; None: it is better written whole."""
    if len(now) < _LARGE or len(wanted) < _LARGE:
        return None
    before, after = set(now), set(wanted)
    removed = tuple(each for each in now if each not in after)
    added = {place: each for place, each in enumerate(wanted) if each not in before}
    if len(before) < len(now) or len(after) < len(wanted) or len(removed) + len(added) > len(wanted) // 4:
        return None
    if [each for each in now if each in after] != [each for each in wanted if each in before]:
        return None  # what stays has changed its order
    return Edits(removed, added)


def _edit(name: str, now: Rules, wanted: Rules) -> list[str]:
    """The lines that edit a large chain; none: it is to be written whole.

    A rule is deleted by what it says: one that others have changed meanwhile is refused rather than mistaken.
    """
    found = edits(now, wanted)
    if found is None:
        return []
    prefix = f"-A {name}"
    return ["-D" + each.removeprefix("-A") for each in found.removed] + [
        f"-I {name} {place + 1}{each.removeprefix(prefix)}" for place, each in found.added.items()
    ]


def new_chains(changes: Changes, saved: Saved) -> dict[Chain, Rules]:
    """Of `changes`, the chains that aren't there yet: nothing leads to them."""
    new = ((chain, rules) for chain, rules in changes.items() if chain not in saved.chains)
    return {chain: rules for chain, rules in new if rules is not None}


def _jumps(chain: Chain, now: Rules, wanted: Rules) -> Iterator[str]:
    if same(wanted, now):
        return
    for line in now:
        yield "-D" + line.removeprefix("-A")
    for line in reversed(wanted):
        yield f"-I {chain.name} 1" + line.removeprefix(f"-A {chain.name}")


def removal(saved: Saved) -> str:
    """What to feed iptables-restore so that nothing of ours is left."""
    return restore_input(dict.fromkeys(saved.chains), saved, {})


def apply_to(saved: Saved, changes: Changes) -> None:
    """Note in `saved` that `changes` and the jumps are now in force."""
    for chain, rules in changes.items():
        if rules is None:
            del saved.chains[chain]
            if chain in saved.referenced:
                saved.chains[chain] = ()
        else:
            saved.chains[chain] = rules
    saved.jumps = dict(JUMPS)
