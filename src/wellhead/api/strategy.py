"""How an object of a kind is created and updated: defaults, what the server decides, validation.

`create` and `update` are the whole of it, from a decoded body to an object that can be stored. A kind with
rules of its own has a `Strategy` in `kinds/<singular>.py`, in the constant STRATEGY; the rest use the base.
Of a Service's addresses and ports, `allocation` decides afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

from wellhead.api import metadata
from wellhead.api.errors import Cause
from wellhead.api.formats import Check, dns_subdomain
from wellhead.api.meta import Key, Obj, now
from wellhead.api.resources import Resource

Lookup = Callable[[Resource, Key], Obj | None]


@dataclass(frozen=True)
class Context:
    """What a kind may need to know beside the object.

    `lookup` finds other objects (a pod's ServiceAccount); without it, nothing is looked up.
    `now` is RFC 3339. `ip_families` are those of the cluster's Services, the default one first.
    """

    namespace: str = ""
    now: str = field(default_factory=now)
    lookup: Lookup | None = None
    ip_families: Sequence[str] = ("IPv4",)


class Strategy:
    """The hooks of a kind. Those that take an object and return nothing change it in place."""

    name_check: Check = staticmethod(dns_subdomain)
    """What may be a name of this kind."""
    counts_generations = False
    """Whether metadata.generation grows when something other than metadata and status changes."""
    keeps_initial_status = False
    """Whether a new object may come with a status: an agent registers its node so."""

    def default(self, obj: Obj) -> None:
        """Fill in the defaults, as decoding does upstream; also for an object read from an older store."""

    def prepare_create(self, obj: Obj, context: Context) -> None:
        """What the server and its admission decide of a new object. May raise Forbidden, Invalid."""

    def validate(self, obj: Obj) -> list[Cause]:
        """What is wrong with the object, new or updated."""
        return []

    def validate_create(self, obj: Obj) -> list[Cause]:
        """What is wrong with a new object."""
        return self.validate(obj)

    def prepare_update(self, new: Obj, old: Obj, context: Context) -> None:
        """What the server keeps or drops when `old` becomes `new`. May raise Invalid."""

    def validate_update(self, new: Obj, old: Obj) -> list[Cause]:
        """What is wrong with replacing `old` by `new`."""
        return self.validate(new)

    def prepare_status_update(self, new: Obj, old: Obj) -> None:
        """The same for the status subresource; all but metadata and status is `old`'s already."""

    def validate_status_update(self, new: Obj, old: Obj) -> list[Cause]:
        """What is wrong with the new status."""
        return []

    def to_storage(self, obj: Obj) -> Obj:
        """The object in the form in which its kind is stored."""
        return obj

    def from_storage(self, obj: Obj) -> Obj:
        """The stored object in the form of this version of the kind."""
        return obj


@lru_cache
def strategy_for(resource: Resource) -> Strategy:
    """The strategy of a kind: `kinds/<singular>.py`'s, or the base."""
    module = f"wellhead.api.kinds.{resource.singular}"
    if find_spec(module) is None:
        return Strategy()
    strategies: dict[str, Strategy] = import_module(module).STRATEGIES
    return strategies.get(resource.group) or Strategy()


def create(resource: Resource, obj: Obj, context: Context) -> Obj:
    """A decoded body as the object to store (`obj` itself, changed).

    Raises BadRequest, Forbidden, Invalid.
    """
    strategy = strategy_for(resource)
    metadata.prepare_create(resource, obj, context.namespace, context.now)
    if resource.has_status and not strategy.keeps_initial_status:
        obj.pop("status", None)
    if strategy.counts_generations:
        obj["metadata"]["generation"] = 1
    strategy.default(obj)
    strategy.prepare_create(obj, context)
    metadata.refuse(
        resource,
        obj,
        [*metadata.validate(resource, obj, strategy.name_check), *strategy.validate_create(obj)],
    )
    return obj


def update(resource: Resource, new: Obj, old: Obj, context: Context, subresource: str = "") -> Obj:
    """A decoded body as the replacement of `old`, for the main resource or `status` or `finalize`.

    Returns `new`, changed; `old` stays as it is. resourceVersion is kept as sent: the caller checks it.
    Raises BadRequest, Invalid.
    """
    strategy = strategy_for(resource)
    if subresource == "status":
        new = {**old, "metadata": _status_metadata(new, old), **_only_status(new)}
    elif subresource == "finalize":
        spec = {**(old.get("spec") or {}), "finalizers": (new.get("spec") or {}).get("finalizers") or []}
        new = {**old, "metadata": {**old["metadata"], **_version(new)}, "spec": spec}
    elif resource.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    metadata.prepare_update(resource, new, old, context.namespace)
    causes = metadata.validate_update(new, old)
    if subresource == "status":
        strategy.prepare_status_update(new, old)
        causes += strategy.validate_status_update(new, old)
    elif subresource == "":
        strategy.default(new)
        strategy.prepare_update(new, old, context)
        causes += metadata.validate(resource, new, strategy.name_check)
        causes += strategy.validate_update(new, old)
        if strategy.counts_generations and _intent(new) != _intent(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    metadata.refuse(resource, new, causes)
    return new


def _intent(obj: Obj) -> Obj:
    """All that a user decides: a change of it is a new generation."""
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _status_metadata(new: Obj, old: Obj) -> Obj:
    """A status update may write labels, annotations and finalizers along, as upstream's do."""
    sent = new.get("metadata") or {}
    kept = dict(old["metadata"])
    for name in ("labels", "annotations", "finalizers", "uid", "name", "namespace", "managedFields"):
        if name in sent:
            kept[name] = sent[name]
    return {**kept, **_version(new)}


def _only_status(new: Obj) -> Obj:
    return {"status": new["status"]} if "status" in new else {"status": {}}


def _version(new: Obj) -> Obj:
    sent = (new.get("metadata") or {}).get("resourceVersion")
    return {"resourceVersion": sent} if sent else {"resourceVersion": ""}
