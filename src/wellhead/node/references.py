"""ConfigMaps and Secrets that pods refer to: read when needed, watched while somebody wants to know.

Each object has a watch of its own (a field selector names it), as the node authorizer of Kubernetes demands:
a node sees only what its pods use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wellhead.api.errors import NotFound
from wellhead.api.meta import Obj
from wellhead.api.resource import Resource
from wellhead.api.resources import CONFIGMAPS, SECRETS
from wellhead.client.informer import Informer
from wellhead.client.rest import Client

_RESOURCES: dict[str, Resource] = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS}


@dataclass(frozen=True, order=True)
class Reference:
    """A ConfigMap or Secret; `kind` is its kind."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f'{self.kind.lower()} "{self.namespace}/{self.name}"'


@dataclass
class _Watched:
    informer: Informer
    task: asyncio.Task[None]
    listeners: list[Callable[[], None]] = field(default_factory=list)


class References:
    """Reads and watches the objects that pods of this node refer to. Use as an async context manager."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._watched: dict[Reference, _Watched] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> References:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for watched in self._watched.values():
            watched.task.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def get(self, reference: Reference) -> Obj | None:
        """The object as it is now, or None. Raises ApiError, ConnectionLost."""
        resource = _RESOURCES[reference.kind]
        try:
            return await self._client.get(resource, reference.name, reference.namespace)
        except NotFound:
            return None

    async def seen(self, reference: Reference) -> Obj | None:
        """As `get`, for somebody who has subscribed: what the watch says may be a moment behind."""
        watched = self._watched.get(reference)
        if watched is None or watched.informer.lagging:
            return await self.get(reference)
        return watched.informer.get(reference.name, reference.namespace)

    def subscribe(self, references: Iterable[Reference], changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever one of the objects changes, and now if one is known: it may have changed
        since somebody looked. Returns how to stop that.
        """
        wanted = list(references)
        for reference in wanted:
            watched = self._watch(reference)
            watched.listeners.append(changed)
            if not watched.informer.lagging:
                changed()

        def unsubscribe() -> None:
            for reference in wanted:
                watched = self._watched[reference]
                watched.listeners.remove(changed)
                if not watched.listeners:
                    del self._watched[reference]
                    watched.task.cancel()

        return unsubscribe

    def _watch(self, reference: Reference) -> _Watched:
        watched = self._watched.get(reference)
        if watched is None:
            informer = Informer(
                self._client,
                _RESOURCES[reference.kind],
                namespace=reference.namespace,
                field_selector=f"metadata.name={reference.name}",
            )
            watched = _Watched(informer, self._tasks.create_task(informer.run(), name=str(reference)))
            self._watched[reference] = watched
            informer.on_change(lambda old, new: self._tell(reference))
        return watched

    def _tell(self, reference: Reference) -> None:
        for listener in list(self._watched[reference].listeners):
            listener()
