"""What plugins are made with: the server's objects, and whom to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wellhead.api.limits import Limits
from wellhead.api.meta import Obj
from wellhead.apiserver.authz import Authorizer
from wellhead.apiserver.custom.kinds import CustomKinds
from wellhead.apiserver.registry.registry import Registry
from wellhead.apiserver.webhooks.client import WebhookClient
from wellhead.apiserver.webhooks.metrics import WebhookMetrics


@dataclass(frozen=True)
class Environment:
    """A plugin takes of it what it needs, in its `__init__`."""

    registry: Registry
    """Reads from memory (`lookup`, `collection`); writes that it makes pass no admission."""
    authorizer: Authorizer
    kinds: CustomKinds
    limits: Limits
    webhooks: WebhookClient
    webhook_metrics: WebhookMetrics
    configurations: Mapping[str, Obj] = field(default_factory=dict)
    """What plugins are told, by their names."""
