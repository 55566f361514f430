"""What an admission plugin is."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from wellhead.api.resource import Resource
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.request import Operation, Request


class Plugin:
    """Looks at the requests that it is about, in one phase or in both.

    A plugin keeps no copy of objects: it reads the server's, through what it is given when it is made.
    Both methods raise ApiError (mostly Forbidden) to refuse. None is asked of what the server itself writes.
    """

    name: ClassVar[str]
    """Upstream's: what --enable-admission-plugins and --disable-admission-plugins call it."""
    operations: ClassVar[Collection[str]] = ("CREATE", "UPDATE")
    resources: ClassVar[Collection[Resource] | None] = None
    """None: all."""
    subresources: ClassVar[Collection[str] | None] = ("",)
    """'' is the object itself; None: all."""

    def __init__(self, environment: Environment) -> None:
        """A plugin that reads or asks something takes it from here."""

    def concerns(self, operation: Operation, resource: Resource, subresource: str) -> bool:
        """Whether such requests are this plugin's business. Asked once for each combination."""
        return (
            operation in self.operations
            and (self.resources is None or resource in self.resources)
            and (self.subresources is None or subresource in self.subresources)
        )

    async def mutate(self, request: Request) -> None:
        """Change `request.obj`, which has its defaults but hasn't been validated.

        Asked again, about an object that may have been changed already, if another write comes first: what is
        changed in place must stay as it is when it is changed twice.
        """

    async def validate(self, request: Request) -> None:
        """Refuse what may not be stored. The kind's own rules hold by then, and nothing changes any more."""
