"""Several API servers on one store give no node port out twice.

Each knows what is stored, but not what another is about to store. A ClusterIP has an object of its own, which
only one can create; for node ports, whoever gives some out writes one record that is common to all, at the
revision that he has seen. Who is overtaken looks again. Upstream has a RangeAllocation for that, too
(pkg/registry/core/service/portallocator).
"""

from __future__ import annotations

from wellhead.api.kinds.service.allocation import holdings
from wellhead.api.meta import Obj
from wellhead.storage.cache import WatchCache
from wellhead.storage.encoding import encode
from wellhead.storage.store import StoreKey, Write

GUARD = StoreKey("rangeallocations", "", "servicenodeports")

_RECORD = encode({"apiVersion": "v1", "kind": "RangeAllocation", "metadata": {"name": GUARD.name}})


def guard_writes(cache: WatchCache, new: Obj, old: Obj | None) -> tuple[Write, ...]:
    """What belongs into the transaction that stores `new` in place of `old`."""
    if not cache.shared or not holdings(new).without(holdings(old)).ports:
        return ()
    seen = cache[GUARD.resource].get(GUARD.namespace, GUARD.name)
    return (Write(GUARD, _RECORD, 0 if seen is None else seen.revision),)
