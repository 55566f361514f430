"""What a write passes on its way into the store: admission, for the requests of clients."""

from __future__ import annotations

from typing import Protocol

from wellhead.api.meta import Obj


class Gate(Protocol):
    """Everything may raise ApiError: then nothing is written."""

    async def mutate(self, new: Obj, old: Obj | None) -> Obj:
        """What was sent, with its defaults, as it shall be instead. It may be changed in place.

        `old` is what it replaces, None if it is new. Asked again when another write overtakes this one.
        """
        ...

    async def validate(self, new: Obj, old: Obj | None) -> None:
        """Whether the object may be stored exactly so."""
        ...

    async def remove(self, old: Obj) -> None:
        """Whether the object may be deleted."""
        ...

    async def abandon(self) -> None:
        """What was validated last has not been stored after all. Raises nothing."""
        ...


class Open:
    """Lets everything pass: what the server itself writes."""

    async def mutate(self, new: Obj, old: Obj | None) -> Obj:
        return new

    async def validate(self, new: Obj, old: Obj | None) -> None:
        pass

    async def remove(self, old: Obj) -> None:
        pass

    async def abandon(self) -> None:
        pass


OPEN = Open()
