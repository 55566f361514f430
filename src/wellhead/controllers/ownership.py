"""Which objects a workload controls: those that refer to it, and those without a controller that match it.

Source: upstream's ControllerRefManager (pkg/controller/controller_ref_manager.go) and the controllerRef
design: an object has at most one controller; matching orphans are adopted, controlled objects that no longer
match are released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from wellhead.api.errors import Conflict
from wellhead.api.meta import (
    AnyObj,
    controller_of,
    is_deleting,
    labels,
    owner_reference,
    owner_references,
)
from wellhead.api.selectors import LabelSelector
from wellhead.api.types.shared import OwnerReference
from wellhead.controllers.store import Store

T = TypeVar("T", bound=AnyObj)
U = TypeVar("U", bound=AnyObj)


@dataclass(frozen=True)
class Claim(Generic[T]):
    """What is controlled already, what is to be adopted, and what to be released."""

    owned: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def claim(
    owner: AnyObj,
    selector: LabelSelector,
    candidates: Iterable[T],
    fits: Callable[[T], bool] = lambda _: True,
) -> Claim[T]:
    """Decide for each candidate. An owner that is being deleted neither adopts nor releases.

    Only what also `fits` matches: a StatefulSet's pods have names of its own.
    """
    owned, adopt, release = [], [], []
    leaving = is_deleting(owner)
    for candidate in candidates:
        controller = controller_of(candidate)
        matches = selector.matches(labels(candidate)) and fits(candidate)
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


def adopted(candidate: T, owner: AnyObj) -> T:
    """The candidate with `owner` as its controller."""
    references = [*owner_references(candidate), owner_reference(owner)]
    return _with_owners(candidate, references)


def released(obj: T, owner: AnyObj) -> T:
    """The object without any reference to `owner`."""
    references = [ref for ref in owner_references(obj) if ref["uid"] != owner["metadata"]["uid"]]
    return _with_owners(obj, references)


def _with_owners(obj: T, references: list[OwnerReference]) -> T:
    changed: Any = {**obj, "metadata": {**obj["metadata"], "ownerReferences": references}}
    same: T = changed
    return same


async def carry_out(decided: Claim[T], owner: U, owners: Store[U], store: Store[T]) -> list[T]:
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
