"""A kind: all that this project says of one, in one value. Each is made in a file of `kinds/`."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.printer import DEFAULT, Printer
from wellhead.api.resource import Resource
from wellhead.api.strategy import NO_RULES, Strategy


@dataclass(frozen=True)
class Kind:
    """What a kind is called, what it may be, and how `kubectl get` shows it."""

    resource: Resource
    strategy: Strategy = NO_RULES
    printer: Printer = DEFAULT
