"""Which objects a workload controls: those that refer to it, and those without a controller that match it.

Source: upstream's ControllerRefManager (pkg/controller/controller_ref_manager.go) and the controllerRef
design: an object has at most one controller; matching orphans are adopted, controlled objects that no longer
match are released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from wellhead.api.errors import Conflict
from wellhead.api.meta import Obj, controller_of, is_deleting, labels, owner_reference, owner_references
from wellhead.api.selectors import LabelSelector
from wellhead.controllers.store import Store


@dataclass(frozen=True)
class Claim:
    """What is controlled already, what is to be adopted, and what to be released."""

    owned: tuple[Obj, ...]
    adopt: tuple[Obj, ...]
    release: tuple[Obj, ...]


def claim(owner: Obj, selector: LabelSelector, candidates: Iterable[Obj]) -> Claim:
    """Decide for each candidate. An owner that is being deleted neither adopts nor releases."""
    owned, adopt, release = [], [], []
    leaving = is_deleting(owner)
    for candidate in candidates:
        controller = controller_of(candidate)
        matches = selector.matches(labels(candidate))
        if controller is not None:
            if controller["uid"] != owner["metadata"]["uid"]:
                continue
            if matches:
                owned.append(candidate)
            elif not leaving and not is_deleting(candidate):
                release.append(candidate)
        elif matches and not leaving and not is_deleting(candidate):
            adopt.append(candidate)
    return Claim(tuple(owned), tuple(adopt), tuple(release))


def adopted(candidate: Obj, owner: Obj) -> Obj:
    """The candidate with `owner` as its controller."""
    references = [*owner_references(candidate), owner_reference(owner)]
    return {**candidate, "metadata": {**candidate["metadata"], "ownerReferences": references}}


def released(obj: Obj, owner: Obj) -> Obj:
    """The object without any reference to `owner`."""
    references = [ref for ref in owner_references(obj) if ref["uid"] != owner["metadata"]["uid"]]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": references}}


async def carry_out(decided: Claim, owner: Obj, owners: Store, store: Store) -> list[Obj]:
    """Adopt and release what was decided; the answer is everything that `owner` controls then.

    Raises Conflict if the owner isn't what it was: asked of the server, since adopting for a deleted owner
    would have the garbage collector delete the adopted.
    """
    if decided.adopt:
        metadata = owner["metadata"]
        current = await owners.live(metadata["name"], metadata["namespace"])
        if current["metadata"]["uid"] != metadata["uid"] or is_deleting(current):
            raise Conflict.of(owners.resource, metadata["name"], "it is being deleted, and adopts nothing")
    new = await asyncio.gather(*(store.update(adopted(obj, owner)) for obj in decided.adopt))
    await asyncio.gather(*(store.update(released(obj, owner)) for obj in decided.release))
    return [*decided.owned, *new]
