"""Taking an update in while somebody else converts: managers may know the object in other versions.

Upstream: managedfields' versionConverter and UpdateNoErrors, crConverter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from wellhead.api.custom.strategy import NotAsked
from wellhead.api.errors import ApiError
from wellhead.api.managed_fields.apply import Unmergeable
from wellhead.api.meta import Obj
from wellhead.api.strategy import Context
from wellhead.apiserver.apart import Apart

_MOST_QUESTIONS = 1000
"""Each is about another object; who answers at random is not asked for ever."""


async def taken_in(apart: Apart, size: int, receive: Callable[[Context], Obj], context: Context) -> Obj:
    """What `receive` makes of an update, about `size` bytes, with all questions to who converts answered.

    Where there is no answer, nothing is known any more of who manages what; an apply fails.

    Raises Unmergeable, and what `receive` raises.
    """
    for _ in range(_MOST_QUESTIONS):
        try:
            return await apart.run(size, partial(receive, context))
        except NotAsked as question:
            try:
                await question.ask()
            except ApiError as error:
                if context.writer is None:
                    raise Unmergeable(f"failed to convert the object: {error}") from None
                context = replace(context, writer=None, forgets_managers=True)
    raise Unmergeable("failed to convert the object: its conversion never ends")
