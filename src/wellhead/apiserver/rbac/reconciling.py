"""The default roles and bindings are there, and have at least what they should, at every start.

What somebody added to one stays; one that is annotated rbac.authorization.kubernetes.io/autoupdate=false is
left alone. Upstream: component-helpers/auth/rbac/reconciliation, pkg/registry/rbac/rest/storage_rbac.go.
"""

from __future__ import annotations

import asyncio
import logging

from wellhead.api.errors import AlreadyExists, Conflict, NotFound
from wellhead.api.meta import Obj, key
from wellhead.api.rbac.covering import uncovered
from wellhead.api.rbac.rules import rules_of
from wellhead.api.resource import Resource
from wellhead.apiserver.rbac.defaults import AUTOUPDATE, default_objects
from wellhead.apiserver.registry.deletion import DeleteOptions
from wellhead.apiserver.registry.registry import Registry

_log = logging.getLogger(__name__)


async def ensure_default_roles(registry: Registry) -> None:
    """Raises InternalError when they can't be stored."""
    # At once, so that they share commits.
    await asyncio.gather(*(_ensure(registry, resource, wanted) for resource, wanted in default_objects()))


async def _ensure(registry: Registry, resource: Resource, wanted: Obj) -> None:
    namespace, name = key(wanted)
    found = registry.lookup(resource, (namespace, name))
    if found is not None and "roleRef" in wanted and found["roleRef"] != wanted["roleRef"]:
        if _opts_out(found):
            return
        options = DeleteOptions(uid=found["metadata"]["uid"])
        try:
            await registry.delete(resource, namespace, name, options)
        except (NotFound, Conflict) as error:
            _log.warning("%s %s: %s", resource.kind, name, error)
        found = None
    if found is None:
        try:
            await registry.create(resource, namespace, wanted)
        except AlreadyExists:  # another server is starting, too
            return
    elif reconciled(found, wanted) != found:
        await registry.update(resource, namespace, name, lambda old: reconciled(old, wanted))


def reconciled(found: Obj, wanted: Obj) -> Obj:
    """`found` with what it lacks of `wanted`."""
    if _opts_out(found):
        return found
    metadata = dict(found["metadata"])
    for field in ("labels", "annotations"):
        # An annotation of the object's own wins over the default's: that is how it opts out.
        metadata[field] = wanted["metadata"][field] | (metadata.get(field) or {})
    new: Obj = {**found, "metadata": metadata}
    if "roleRef" in wanted:
        subjects = found.get("subjects") or []
        missing = [each for each in wanted.get("subjects") or () if each not in subjects]
        return new | {"subjects": subjects + missing} if missing else new
    if missing_rules := uncovered(rules_of(found), rules_of(wanted)):
        new["rules"] = (found.get("rules") or []) + [rule.object for rule in missing_rules]
    wanted_selectors = (wanted.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    selectors = (found.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    if not wanted_selectors:
        new.pop("aggregationRule", None)
    elif added := [each for each in wanted_selectors if each not in selectors]:
        new["aggregationRule"] = {"clusterRoleSelectors": selectors + added}
    return new


def _opts_out(found: Obj) -> bool:
    return (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false"
