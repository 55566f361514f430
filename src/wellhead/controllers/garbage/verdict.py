"""What becomes of an object, given what is known about its owners: pure.

Source: upstream's pkg/controller/garbagecollector (attemptToDeleteItem).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from wellhead.controllers.garbage.graph import FOREGROUND, ORPHAN, Node

Propagation = Literal["Foreground", "Background", "Orphan"]


class OwnerState(Enum):
    """What an owner reference leads to."""

    LIVES = "an object with that uid is there"
    WAITS = "it is there, in foreground deletion, and this dependent holds it up"
    ABSENT = "no object with that uid"


@dataclass(frozen=True)
class Keep:
    """Nothing to do."""


@dataclass(frozen=True)
class Unlink:
    """Live owners keep it; the references to these others (uids) go."""

    uids: frozenset[str]


@dataclass(frozen=True)
class Delete:
    propagation: Propagation


@dataclass(frozen=True)
class Unblock:
    """Stop holding up owners, then delete in the foreground: else a circle of owners would never end."""


Verdict = Keep | Unlink | Delete | Unblock


def verdict(node: Node, owners: Mapping[str, OwnerState], dependents: Sequence[Node]) -> Verdict:
    """`owners` has an entry for each owner reference, by uid."""
    if node.deleting or not node.owners:
        return Keep()
    states = set(owners.values())
    if OwnerState.LIVES in states:
        others = frozenset(uid for uid, state in owners.items() if state is not OwnerState.LIVES)
        return Unlink(others) if others else Keep()
    if OwnerState.WAITS in states and dependents:
        return Unblock() if any(each.deletes_dependents for each in dependents) else Delete("Foreground")
    if ORPHAN in node.finalizers:
        return Delete("Orphan")
    if FOREGROUND in node.finalizers:
        return Delete("Foreground")
    return Delete("Background")


def blocking(node: Node, dependents: Sequence[Node]) -> list[Node]:
    """The dependents that hold up the node's foreground deletion.

    Nothing in another namespace does, whatever it says of its owner: else whoever may write there could keep
    what is here from going.
    """
    return [
        each
        for each in dependents
        if node.namespace in ("", each.namespace) and any(o.uid == node.uid and o.blocks for o in each.owners)
    ]
