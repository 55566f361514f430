"""What a kind's rules warn of, though the object is valid: when it is new, and when it changes."""

from __future__ import annotations

from collections.abc import Callable

from wellhead.api.meta import Obj
from wellhead.api.resources import kind_of
from wellhead.apiserver.call import Call


class Watched:
    """A change of an object that remembers what it made of what."""

    def __init__(self, change: Callable[[Obj], Obj]) -> None:
        self._change = change
        self._seen: tuple[Obj, Obj] | None = None

    def __call__(self, old: Obj) -> Obj:
        new = self._change(old)
        self._seen = (new, old)
        return new

    def warn(self, call: Call) -> None:
        """Say what is new in the object and worth a warning."""
        if self._seen is not None and not call.info.subresource:
            new, old = self._seen
            call.warnings += kind_of(call.resource).strategy.update_warnings(new, old)
