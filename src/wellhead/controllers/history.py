"""Keeps the ControllerRevisions of workloads: makes, adopts, renumbers and drops them."""

from __future__ import annotations

from collections.abc import Iterable

from wellhead.api.errors import AlreadyExists, Conflict, NotFound
from wellhead.api.kinds.workload import selector_of
from wellhead.api.meta import Obj, is_controlled_by, is_deleting
from wellhead.api.resources import CONTROLLERREVISIONS
from wellhead.controllers.ownership import carry_out, claim
from wellhead.controllers.revisions import Revisions, new_revision, number, split, template_of
from wellhead.controllers.store import Store, Stores
from wellhead.controllers.template import same_template


class History:
    """The revisions of all workloads of one kind. `hash_label` names the label that holds a name's hash."""

    def __init__(self, stores: Stores, owners: Store[Obj], hash_label: str) -> None:
        self._owners = owners
        self._revisions: Store[Obj] = stores[CONTROLLERREVISIONS]
        self._hash_label = hash_label

    async def settle(self, owner: Obj) -> Revisions:
        """The owner's revisions, of which one is current and has the highest number.

        None is made or renumbered for an owner that is being deleted.

        Raises Conflict if a name was taken: the owner has another collisionCount then.
        """
        found = split(owner, await self._claimed(owner))
        if is_deleting(owner):
            return found
        if not found.current:
            made = await self._create(owner, new_revision(owner, found.next_number, self._hash_label))
            return Revisions((made,), found.old)
        latest = found.current[0]
        if number(latest) < found.next_number:
            latest = await self._revisions.update({**latest, "revision": found.next_number})
        return Revisions((latest, *found.current[1:]), found.old)

    async def drop(self, revisions: Iterable[Obj]) -> None:
        """Delete what nobody needs any more."""
        for each in revisions:
            try:
                await self._revisions.delete(each)
            except NotFound:
                continue

    async def _claimed(self, owner: Obj) -> list[Obj]:
        metadata = owner["metadata"]
        candidates = self._revisions.by_index("controller", metadata["uid"])
        candidates += self._revisions.by_index("uncontrolled", metadata["namespace"])
        decided = claim(owner, selector_of(owner), candidates)
        owned = await carry_out(decided, owner, self._owners, self._revisions)
        return [each for each in owned if not is_deleting(each)]

    async def _create(self, owner: Obj, revision: Obj) -> Obj:
        try:
            return await self._revisions.create(revision)
        except AlreadyExists:
            metadata = revision["metadata"]
            there = await self._revisions.live(metadata["name"], metadata["namespace"])
            if is_controlled_by(there, owner) and same_template(template_of(there), template_of(revision)):
                self._revisions.learn(there)
                return there
            status = dict(owner.get("status") or {})
            status["collisionCount"] = status.get("collisionCount", 0) + 1
            await self._owners.update({**owner, "status": status}, "status")
            name = metadata["name"]
            raise Conflict.of(CONTROLLERREVISIONS, name, "another revision has this name") from None
