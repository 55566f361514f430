"""Creating, updating and deleting objects, and reading them."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from wellhead.api import writes
from wellhead.api.custom.strategy import CustomStrategy
from wellhead.api.errors import (
    AlreadyExists,
    Conflict,
    InternalError,
    NotFound,
    PlainError,
    RequestEntityTooLarge,
    ServiceUnavailable,
)
from wellhead.api.limits import DEFAULTS, Limits
from wellhead.api.managed_fields.update import Writer, settled
from wellhead.api.meta import Key, Obj, key, parse_time
from wellhead.api.resource import Resource
from wellhead.api.resources import IPADDRESSES, SERVICES, kind_of
from wellhead.api.strategy import Context
from wellhead.apiserver.apart import Apart
from wellhead.apiserver.registry.deletion import (
    DeleteOptions,
    check_preconditions,
    is_finished,
    mark_deleted,
)
from wellhead.apiserver.registry.gate import OPEN, Gate
from wellhead.apiserver.registry.ip_addresses import ALONE, Around, address_writes
from wellhead.apiserver.registry.node_port_guard import GUARD, guard_writes
from wellhead.apiserver.registry.receiving import taken_in
from wellhead.apiserver.registry.services import ServiceAllocator
from wellhead.storage.cache import Collection, WatchCache
from wellhead.storage.encoding import decode, encode, encode_json, with_revision
from wellhead.storage.event_log import Item
from wellhead.storage.store import RevisionConflict, StoreFailed, StoreFull, StoreKey, Write
from wellhead.text import quoted

# How often a write that another one overtook is tried again before the client hears of it.
# Each attempt is lost to another's write, so as many must have come first; upstream has no limit.
_ATTEMPTS = 100
_LONGEST_DOUBLING = 6
_NAME_ATTEMPTS = 8
_VERSION = re.compile(r"[0-9]+", re.ASCII)
_LEEWAY = timedelta(seconds=60)
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Written(NamedTuple):
    """What a write left: the object's JSON, and whether the object is gone now (then: its last state)."""

    data: bytes
    removed: bool = False


class Registry:
    """All objects, and the rules by which they change."""

    def __init__(self, cache: WatchCache, allocator: ServiceAllocator, limits: Limits = DEFAULTS) -> None:
        self.cache = cache
        self._limits = limits
        self.apart = Apart()
        self._allocator = allocator

    # Reading

    async def current(self) -> None:
        """Wait until all that was written before this call can be read here, whichever server wrote it.

        Raises InternalError.
        """
        try:
            await self.cache.current()
        except StoreFailed as error:
            raise InternalError(str(error)) from error

    async def prepare(self, resource: Resource, items: Iterable[Item]) -> None:
        """Before objects are presented or decoded: those of a custom kind may have to be converted by others.

        Raises ApiError.
        """
        strategy = _asking(resource)
        if strategy is not None:
            stored = [each for each in items if not strategy.is_current(each.data, each.revision)]
            await strategy.prepare_reading(map(decode, (each.data for each in stored)))

    def collection(self, resource: Resource) -> Collection:
        """Everything of one resource."""
        return self.cache[resource.storage_prefix]

    def item(self, resource: Resource, namespace: str, name: str) -> Item:
        """An object. Raises NotFound."""
        item = self.collection(resource).get(namespace if resource.namespaced else "", name)
        if item is None:
            raise NotFound.of(resource, name)
        return item

    def object(self, resource: Resource, namespace: str, name: str) -> Obj:
        """A copy of an object. Raises NotFound."""
        return self.decoded(resource, self.item(resource, namespace, name))

    def lookup(self, resource: Resource, key: Key) -> Obj | None:
        """A copy of an object, if it exists."""
        item = self.collection(resource).get(*key)
        return None if item is None else self.decoded(resource, item)

    def live_uid(self, resource: Resource, namespace: str, name: str) -> str | None:
        """The uid of the object, if it exists and its end isn't overdue: finalizers keep no token alive."""
        item = self.collection(resource).get(namespace, name)
        metadata = None if item is None else item.head["metadata"]
        if not isinstance(metadata, dict):
            return None
        deleted = metadata.get("deletionTimestamp")
        if deleted and parse_time(deleted) < datetime.now(UTC) - _LEEWAY:
            return None
        return str(metadata["uid"])

    def present(self, resource: Resource, item: Item) -> bytes:
        """The object's JSON as clients of this resource's version see it."""
        if not resource.stored_as or kind_of(resource).strategy.is_current(item.data, item.revision):
            return item.data
        return encode_json(self.decoded(resource, item))

    def presented(self, resource: Resource, items: Iterable[Item]) -> list[bytes]:
        """The same of many."""
        if not resource.stored_as:
            return [item.data for item in items]
        return [self.present(resource, item) for item in items]

    # Writing

    async def create(
        self,
        resource: Resource,
        namespace: str,
        obj: Obj,
        *,
        gate: Gate = OPEN,
        writer: Writer | None = None,
        size: int = 0,
        dry_run: bool = False,
    ) -> Written:
        """Store a new object, from a body that was decoded with its schema; it had `size` bytes.

        Its fields are the `writer`'s.

        Raises:
            BadRequest, Forbidden, Invalid: the object breaks a rule.
            AlreadyExists: there is one of that name.
            InternalError: it could not be stored.
            ApiError: the gate refuses.
        """
        context = self._context(namespace, writer)
        received = await self.apart.run(size, partial(writes.received, resource, obj, context))
        obj = await gate.mutate(received, None)
        sent_name = obj["metadata"].get("name")
        effort = kind_of(resource).strategy.effort
        for attempt in range(_NAME_ATTEMPTS):
            candidate = obj if attempt == _NAME_ATTEMPTS - 1 or sent_name else _copy(obj)
            prepare = partial(writes.create, resource, candidate, context)
            created = await self.apart.run(size * effort, prepare)
            name = created["metadata"]["name"]
            if self.collection(resource).get(namespace if resource.namespaced else "", name) is None:
                await gate.validate(created, None)
                try:
                    commit = partial(self._commit, resource, None, dry_run=dry_run)
                    return await _kept(gate, _fitting(commit, created, writer))
                except RevisionConflict:
                    pass
            if sent_name:
                break
        raise self._taken(resource, namespace, name)

    def _taken(self, resource: Resource, namespace: str, name: str) -> AlreadyExists:
        """There is an object of that name, which may be about to go."""
        item = self.collection(resource).get(namespace if resource.namespaced else "", name)
        metadata = None if item is None else item.head["metadata"]
        ending = isinstance(metadata, dict) and "deletionTimestamp" in metadata
        return AlreadyExists.of(resource, name, ending=ending)

    async def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Obj], Obj],
        *,
        gate: Gate = OPEN,
        subresource: str = "",
        writer: Writer | None = None,
        size: int = 0,
        dry_run: bool = False,
    ) -> Written:
        """Replace an object by what `change` makes of (a copy of) it, on a thread if that is large.

        `size` is how many bytes the change has. The fields that it changes are the `writer`'s.
        When another write overtakes this one, `change` is called again with the newer object, unless it
        insists on a resourceVersion.

        Raises:
            NotFound: there is no such object.
            Conflict: `change` insists on a version that is not the current one.
            BadRequest, Invalid: the new object breaks a rule.
            InternalError: it could not be stored.
            ApiError: the gate refuses.
        """
        context = self._context(namespace, writer)
        for attempt in range(_ATTEMPTS):
            item = self.item(resource, namespace, name)
            await self.prepare(resource, [item])
            old = self.decoded(resource, item)
            extent = size + len(item.data)
            receive = partial(_changed, resource, old, change, subresource=subresource)
            sent = await gate.mutate(await taken_in(self.apart, extent, receive, context), old)
            prepare = partial(writes.update, resource, sent, old, context, subresource)
            new = await self.apart.run(extent * kind_of(resource).strategy.effort, prepare)
            await gate.validate(new, old)
            try:
                replace = partial(self._replace, resource, item, old, dry_run=dry_run)
                return await _kept(gate, _fitting(replace, new, writer))
            except RevisionConflict:
                await _back_off(attempt)
        raise Conflict.of(resource, name)

    async def modify(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Obj], None],
        *,
        dry_run: bool = False,
    ) -> Written:
        """Let the server itself change an object in place (a binding): no rule of its kind is asked.

        Raises what `change` raises, NotFound, Conflict, InternalError.
        """
        for attempt in range(_ATTEMPTS):
            item = self.item(resource, namespace, name)
            await self.prepare(resource, [item])
            old = self.decoded(resource, item)
            new = _copy(old)
            change(new)
            try:
                return await self._replace(resource, item, old, new, dry_run=dry_run)
            except RevisionConflict:
                await _back_off(attempt)
        raise Conflict.of(resource, name)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: DeleteOptions,
        *,
        gate: Gate = OPEN,
        dry_run: bool = False,
    ) -> Written:
        """Delete an object, or mark it as deleted while a grace period or finalizers hold it.

        Raises:
            NotFound: there is no such object.
            Conflict: a precondition fails, or a namespace is being emptied already.
            InternalError: it could not be stored.
            ApiError: the gate refuses.
        """
        dry_run = dry_run or options.dry_run
        for attempt in range(_ATTEMPTS):
            item = self.item(resource, namespace, name)
            await self.prepare(resource, [item])
            old = self.decoded(resource, item)
            await gate.remove(old)
            check_preconditions(resource, old, options)
            new = _copy(old)
            removed = mark_deleted(resource, new, options)
            try:
                if removed:
                    return await self._remove(resource, item, new, dry_run)
                return await self._replace(resource, item, old, new, dry_run=dry_run)
            except RevisionConflict:
                await _back_off(attempt)
        raise Conflict.of(resource, name)

    def _context(self, namespace: str, writer: Writer | None) -> Context:
        return Context(namespace=namespace, ip_families=self._allocator.families, writer=writer)

    async def _replace(self, resource: Resource, item: Item, old: Obj, new: Obj, *, dry_run: bool) -> Written:
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if old["metadata"].get("deletionTimestamp") and is_finished(resource, new):
            return await self._remove(resource, item, new, dry_run)
        settled(old, new)
        if new == old and not kind_of(resource).strategy.is_outdated(item.data):
            return Written(encode_json(old))
        return await self._commit(resource, item, new, dry_run=dry_run)

    async def _commit(self, resource: Resource, item: Item | None, obj: Obj, *, dry_run: bool) -> Written:
        """Store the object in place of `item`. Raises RevisionConflict."""
        if resource == SERVICES:
            old = None if item is None else decode(item.data)
            # Were this cancelled half-way, the reservation would end before the write's outcome is known.
            return await asyncio.shield(self._store_service(item, old, obj, dry_run))
        return await self._store(resource, item, obj, dry_run)

    async def _store_service(self, item: Item | None, old: Obj | None, obj: Obj, dry_run: bool) -> Written:
        for attempt in range(_ATTEMPTS):
            with self._allocator.reserve(obj, old) as allocated:
                if dry_run:
                    return Written(encode_json(allocated))
                around = address_writes(self.collection(IPADDRESSES), key(obj), allocated, old)
                guard = guard_writes(self.cache, allocated, old)
                around = around._replace(before=(*around.before, *guard))
                try:
                    return await self._store(SERVICES, item, allocated, dry_run, around)
                except RevisionConflict as conflict:
                    # Somebody took an address or node ports meanwhile: the pool will know of it.
                    if conflict.key.resource not in (IPADDRESSES.storage_prefix, GUARD.resource):
                        raise
            await _back_off(attempt)
        raise Conflict.of(SERVICES, obj["metadata"]["name"])

    async def _store(
        self, resource: Resource, item: Item | None, obj: Obj, dry_run: bool, around: Around = ALONE
    ) -> Written:
        if dry_run:
            data = encode_json(obj)
            self._check_size(data)
            return Written(data)
        if (asking := _asking(resource)) is not None:
            await asking.prepare_storing(obj)
        stored = kind_of(resource).strategy.to_storage(obj) if resource.stored_as else obj
        value = encode(stored)
        self._check_size(value)
        revision = await self._transact(resource, obj["metadata"], value, item, around)
        data = with_revision(value, revision)
        if asking is not None:
            data = with_revision(encode(obj), revision)
        elif resource.stored_as and not kind_of(resource).strategy.is_current(data, revision):
            data = encode_json(kind_of(resource).strategy.from_storage(decode(data)))
        return Written(data)

    def _check_size(self, value: bytes) -> None:
        """Raises RequestEntityTooLarge, in the words of upstream's store."""
        if len(value) > self._limits.object_bytes:
            raise RequestEntityTooLarge(
                f"etcdserver: request is too large: the object has {len(value)} bytes,"
                f" limit is {self._limits.object_bytes}"
            ).exceeding("object-bytes")

    async def _remove(self, resource: Resource, item: Item, last: Obj, dry_run: bool) -> Written:
        """Delete `item`. Raises RevisionConflict."""
        if not dry_run:
            around = ALONE
            if resource == SERVICES:
                around = address_writes(self.collection(IPADDRESSES), key(last), None, decode(item.data))
            revision = await self._transact(resource, last["metadata"], None, item, around)
            last["metadata"]["resourceVersion"] = str(revision)
        return Written(encode_json(last), removed=True)

    async def _transact(
        self,
        resource: Resource,
        metadata: Obj,
        value: bytes | None,
        item: Item | None,
        around: Around,
    ) -> int:
        namespace = metadata["namespace"] if resource.namespaced else ""
        name = StoreKey(resource.storage_prefix, namespace, metadata["name"])
        write = Write(name, value, 0 if item is None else item.revision)
        try:
            # What an object that is going still needs (fewer finalizers, a status) brings its end nearer.
            freeing = value is None or bool(metadata.get("deletionTimestamp"))
            revisions = await self.cache.transact([*around.before, write, *around.after], freeing=freeing)
        except StoreFull as error:
            raise ServiceUnavailable(str(error)) from error
        except StoreFailed as error:
            raise InternalError(str(error)) from error
        return revisions[len(around.before)]

    def decoded(self, resource: Resource, item: Item) -> Obj:
        """A copy of the object, as clients of this resource's version see it."""
        obj = decode(item.data)
        return kind_of(resource).strategy.from_storage(obj) if resource.stored_as else obj


def _changed(
    resource: Resource, old: Obj, change: Callable[[Obj], Obj], context: Context, *, subresource: str
) -> Obj:
    """What was sent, with its defaults if it is the whole object.

    Raises Conflict, BadRequest, PlainError for a resourceVersion that is none.
    """
    new = change(_copy(old))
    sent = (new.get("metadata") or {}).get("resourceVersion") or ""
    if sent == "0":
        new["metadata"]["resourceVersion"] = ""  # whichever there is
    elif sent and not _VERSION.fullmatch(sent):
        raise PlainError(f"strconv.ParseUint: parsing {quoted(sent)}: invalid syntax")
    elif sent and sent != old["metadata"]["resourceVersion"]:
        raise Conflict.of(resource, old["metadata"]["name"])
    return writes.received(resource, new, context, old, subresource)


async def _fitting(write: Callable[[Obj], Awaitable[Written]], obj: Obj, writer: Writer | None) -> Written:
    """The write, without the record of managers if that is what makes it too large (not of an apply)."""
    try:
        return await write(obj)
    except RequestEntityTooLarge:
        if writer is None or not obj["metadata"].pop("managedFields", None):
            raise
        return await write(obj)


async def _kept(gate: Gate, write: Awaitable[Written]) -> Written:
    """What the write leaves; the gate hears of it if that is nothing."""
    try:
        return await write
    except BaseException:
        await gate.abandon()
        raise


def _copy(obj: Obj) -> Obj:
    """A deep copy; several times faster than copy.deepcopy."""
    return decode(encode_json(obj))


def _asking(resource: Resource) -> CustomStrategy | None:
    """The strategy of a kind whose objects others convert."""
    strategy = None if resource.custom is None else resource.custom.strategy
    return strategy if isinstance(strategy, CustomStrategy) and strategy.asks else None


async def _back_off(attempt: int) -> None:
    """Let the others finish: the more often this write was overtaken, the longer."""
    if attempt:
        await asyncio.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, _LONGEST_DOUBLING)))
