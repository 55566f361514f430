"""What plugins are made with: the server's objects, and whom to ask."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.registry.registry import Registry


@dataclass(frozen=True)
class Environment:
    """A plugin takes of it what it needs, in its `__init__`."""

    registry: Registry
    """Reads from memory (`lookup`, `collection`); writes that it makes pass no admission."""
    authorizer: Authorizer
