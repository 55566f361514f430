"""A kind: all that this project says of one, in one value. Each is made in a file of `kinds/`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from wellhead.api.managed_fields.types import DEDUCED, Type, type_of
from wellhead.api.printer import DEFAULT, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import NO_RULES, Strategy


@dataclass(frozen=True)
class Kind:
    """What a kind is called, what it may be, and how `kubectl get` shows it."""

    resource: Resource
    strategy: Strategy = NO_RULES
    printer: Printer = DEFAULT
    custom_fields: Callable[[], Type] | None = None
    """Of a custom resource, what server-side apply knows of its fields; built-in kinds have their schema."""

    @cached_property
    def fields(self) -> Type:
        """What merges with what; made when something is first written."""
        if self.custom_fields is not None:
            return self.custom_fields()
        try:
            return type_of(self.resource.gvk)
        except KeyError:
            return DEDUCED
