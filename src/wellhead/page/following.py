"""One kind of object, followed as far as one may: everywhere, or in a namespace, or not at all.

What explain reads with `list` alone is followed where `watch` is allowed, too; where it isn't, or a kind
isn't served, it is looked at again when there is a reason to (`Relook`), never by the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Container, Iterable
from typing import Any, Protocol

from wellhead.api.errors import ApiError, Forbidden, NotFound
from wellhead.api.meta import Key, Obj
from wellhead.api.resource import Resource
from wellhead.backoff import Backoff
from wellhead.client.connection import Connection
from wellhead.client.informer import TypedInformer
from wellhead.client.rest import Client, ConnectionLost, Event, Listing
from wellhead.paths.reading import table
from wellhead.paths.way import Unread
from wellhead.paths.world import Decoded, Entry, Packed
from wellhead.snapshot.cluster import slim
from wellhead.snapshot.kinds import Wanted

_UNAUTHORIZED = 401
_LISTS_AT_ONCE = 6  # each is a connection, and most of them aren't needed afterwards
_STEADY_SECONDS = 5.0
"""What was followed for so long, and is refused then, is asked for a few times more."""
_TRIES = 5
_RELOOK_SECONDS = 1.0  # between two looks, however many reasons there are


class Refused(Exception):
    """The API server doesn't allow it, or doesn't have it."""

    def __init__(self, verb: str, error: ApiError) -> None:
        super().__init__(str(error))
        self.verb, self.error = verb, error


class Expired(Exception):
    """The credentials aren't valid any more."""


class Keeper(Protocol):
    """Who keeps the objects."""

    def put(self, entry: Entry) -> None: ...
    def remove(self, entry: Entry) -> None: ...
    def of_kind(self, kind: str) -> Iterable[Entry]: ...
    def set_unread(self, of: str, unread: Iterable[Unread]) -> None: ...


class Report(Protocol):
    def __call__(self, resource: str, *, lost: bool) -> None:
        """The watch of a resource is lost, or is there (again)."""


class PageClient(Client):
    """A client whose refusals end an informer, and that tells whether it hears anything."""

    report: Report = staticmethod(lambda resource, *, lost: None)

    def __init__(self, connection: Connection, user_agent: str) -> None:
        super().__init__(connection, user_agent)
        self._lists = asyncio.Semaphore(_LISTS_AT_ONCE)

    async def listing(self, resource: Resource, *args: Any, **options: Any) -> Listing:
        with self._judging(resource, "list"):
            async with self._lists:
                return await super().listing(resource, *args, **options)
        raise AssertionError

    async def watch(self, resource: Resource, *args: Any, **options: Any) -> AsyncIterator[Event]:
        caught_up = options.pop("on_open", None)

        def opened() -> None:
            self.report(resource.plural, lost=False)
            if caught_up is not None:
                caught_up()

        with self._judging(resource, "watch"):
            async for each in super().watch(resource, *args, on_open=opened, **options):
                yield each

    @contextlib.contextmanager
    def _judging(self, resource: Resource, verb: str) -> Any:
        try:
            yield
        except (Forbidden, NotFound) as error:
            self.report(resource.plural, lost=False)  # it answers
            raise Refused(verb, error) from error
        except ApiError as error:
            if error.code == _UNAUTHORIZED:
                raise Expired(str(error)) from error
            raise
        except ConnectionLost:
            self.report(resource.plural, lost=True)
            raise


class Relook:
    """That there may be something where there was nothing: a program was installed, the server came back."""

    def __init__(self) -> None:
        self.reasons = 0
        """How many there have been."""
        self._one_more = asyncio.Event()

    def now(self) -> None:
        self.reasons += 1
        self._one_more.set()
        self._one_more = asyncio.Event()

    async def wait(self, since: int) -> None:
        """For a reason beyond so many, and a moment, in which there may be more of them."""
        await asyncio.sleep(_RELOOK_SECONDS)
        while self.reasons <= since:
            await self._one_more.wait()


def entry_of(obj: Obj) -> Entry:
    """An object as it is kept: without what nobody here reads."""
    slim(obj)
    if obj.get("kind") != "Pod":
        return Decoded(obj)
    for part, unread in (("spec", _UNREAD_SPEC), ("status", _UNREAD_STATUS)):
        for each in unread:
            table(obj, part).pop(each, None)
    return Packed(obj)


_UNREAD_SPEC = ("affinity", "imagePullSecrets", "tolerations", "topologySpreadConstraints", "volumes")
_UNREAD_STATUS = ("containerStatuses", "ephemeralContainerStatuses", "initContainerStatuses")


class Following:
    """Keeps what is known of one kind as the cluster has it, through everything."""

    def __init__(
        self,
        client: Client,
        wanted: Wanted,
        keeper: Keeper,
        relook: Relook,
        *,
        namespace: str = "",
        name: str = "",
        optional: bool = False,
    ) -> None:
        """`namespace` is where a kind is looked for that may not be listed everywhere; `name` is of the only
        objects that are wanted; `optional`: it is all the same whether it is served.
        """
        self._client, self._wanted, self._keeper, self._relook = client, wanted, keeper, relook
        self._namespace, self._name, self._optional = namespace, name, optional
        self._synced: float | None = None
        self.looked = asyncio.Event()
        """Set when it has been found out for the first time what there is."""

    @property
    def _title(self) -> str:
        kind = self._wanted.resource.kind
        return f"{kind} {self._namespace}/{self._name}" if self._name else f"{kind} objects"

    async def run(self) -> None:
        """Until cancelled. Raises Expired."""
        backoff = Backoff(1.0, 8.0)
        tries = 0
        while True:
            self._synced = None
            reasons = self._relook.reasons  # what happens while it looks may come too late for it
            await self._everywhere()
            self.looked.set()
            if self._synced is not None and self._now() - self._synced > _STEADY_SECONDS:
                backoff.reset()
                tries = _TRIES
            if tries:  # a server that has just come back may not know yet who may do what
                tries -= 1
                await asyncio.sleep(backoff.next())
            else:
                await self._relook.wait(reasons)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _everywhere(self) -> None:
        """Returns when it may not, or not any more, or where there is nothing of that name."""
        try:
            if self._name and not await self._exists():
                return
            await self._follow(None)
        except Refused as refused:
            if isinstance(refused.error, NotFound):
                self._say(() if self._optional else ("not served", ""))
                self._forget()
                return
            if refused.verb == "watch":
                self._say(("not followed: watch is forbidden", ""))
                return
            if self._name:
                await self._one()
            elif self._wanted.resource.namespaced and self._namespace:
                await self._in_namespace()
            else:
                self._say(("forbidden", ""))
                self._forget()

    async def _exists(self) -> bool:
        """Whether there is an object of the name, as far as it may be asked: most of them are nowhere, and
        nothing is watched that isn't there. Raises Refused."""
        selector = f"metadata.name={self._name}"
        try:
            found = await self._client.listing(self._wanted.resource, field_selector=selector)
        except (ApiError, ConnectionLost):
            return True  # whoever follows tries again
        if any(True for _ in found.items):
            return True
        self._say(())
        self._forget()
        return False

    async def _one(self) -> None:
        """The object of that name where it usually is, which may be all that is allowed."""
        try:
            self._keeper.put(
                entry_of(await self._client.get(self._wanted.resource, self._name, self._namespace))
            )
        except NotFound:
            self._forget()
        except (ApiError, ConnectionLost) as error:
            self._say(("forbidden" if isinstance(error, Forbidden) else str(error), ""))
            self._forget()

    async def _in_namespace(self) -> None:
        self._say(("forbidden", f" outside of namespace {self._namespace}"))
        try:
            await self._follow(self._namespace)
        except Refused as refused:
            if refused.verb == "watch":
                self._say(("forbidden, and not followed", f" outside of namespace {self._namespace}"))
                return
            self._say(("forbidden", ""))
            self._forget()

    async def _follow(self, namespace: str | None) -> None:
        """Raises Refused, Expired; ends otherwise only by being cancelled."""
        informer = TypedInformer(
            self._client,
            self._wanted.resource,
            entry_of,
            namespace=namespace,
            field_selector=f"metadata.name={self._name}" if self._name else "",
            managers=True,
        )
        informer.on_change(self._changed)
        running = asyncio.ensure_future(informer.run())
        synced = asyncio.ensure_future(informer.synced())
        try:
            await asyncio.wait((running, synced), return_when=asyncio.FIRST_COMPLETED)
            if synced.done():
                if namespace is None:
                    self._say(())
                self._forget({(each.namespace, each.name) for each in informer.values()})
                self.looked.set()
                self._synced = self._now()
            await running
        finally:
            for each in (running, synced):
                each.cancel()
            await asyncio.gather(running, synced, return_exceptions=True)

    def _changed(self, old: Entry | None, new: Entry | None) -> None:
        if new is not None:
            self._keeper.put(new)
        elif old is not None:
            self._keeper.remove(old)

    def _forget(self, but: Container[Key] = ()) -> None:
        """What was known of an earlier look, and isn't there any more."""
        for each in list(self._keeper.of_kind(self._wanted.resource.kind)):
            if (each.namespace, each.name) not in but and self._name in ("", each.name):
                self._keeper.remove(each)

    def _say(self, why: tuple[str, str] | tuple[()]) -> None:
        """What can't be read, and what that leaves open; nothing where all can."""
        of = f"{self._wanted.resource.plural} {self._name}"
        if not why:
            self._keeper.set_unread(of, ())
            return
        reason, where = why
        open_ = self._wanted.leaves_open
        self._keeper.set_unread(of, [Unread(what=self._title + where, why=reason, leaves_open=open_)])
