"""Claims without a class get the default one; what is in use is protected; few claims may grow.

Upstream: plugin/pkg/admission/storage/{storageclass/setdefault,storageobjectinuseprotection,
persistentvolume/resize}.
"""

from __future__ import annotations

from wellhead.api.errors import Forbidden
from wellhead.api.kinds.storage import classes, modes
from wellhead.api.meta import Obj
from wellhead.api.names import CLAIM_FINALIZER, VOLUME_FINALIZER
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from wellhead.apiserver.admission.environment import Environment
from wellhead.apiserver.admission.plugin import Plugin
from wellhead.apiserver.admission.request import Request


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"
    operations = ("CREATE",)
    resources = (PERSISTENTVOLUMECLAIMS,)

    def __init__(self, environment: Environment) -> None:
        self._registry = environment.registry

    async def mutate(self, request: Request) -> None:
        if modes.has_class(request.obj):
            return
        items = self._registry.collection(STORAGECLASSES).items()
        name = classes.default_of(self._registry.decoded(STORAGECLASSES, item) for item in items)
        if name is not None:
            request.obj["spec"]["storageClassName"] = name


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"
    operations = ("CREATE",)
    resources = (PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES)

    async def mutate(self, request: Request) -> None:
        finalizer = CLAIM_FINALIZER if request.resource == PERSISTENTVOLUMECLAIMS else VOLUME_FINALIZER
        finalizers = request.obj["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"
    operations = ("UPDATE",)
    resources = (PERSISTENTVOLUMECLAIMS,)

    def __init__(self, environment: Environment) -> None:
        self._registry = environment.registry

    async def validate(self, request: Request) -> None:
        """Raises Forbidden."""
        new, old = request.obj, request.old
        if _asked(new) <= _asked(old):
            return
        phase = (old.get("status") or {}).get("phase")
        if phase != "Bound":
            text = "Only bound persistent volume claims can be expanded"
            raise Forbidden.of(PERSISTENTVOLUMECLAIMS, request.name, text)
        if not self._grows(modes.class_of(new)) or not self._grows(modes.class_of(old)):
            text = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the "
                "pvc must support resize"
            )
            raise Forbidden.of(PERSISTENTVOLUMECLAIMS, request.name, text)

    def _grows(self, name: str) -> bool:
        found = self._registry.lookup(STORAGECLASSES, ("", name)) if name else None
        return found is not None and bool(found.get("allowVolumeExpansion"))


def _asked(claim: Obj) -> int:
    return modes.size_of((claim["spec"].get("resources") or {}).get("requests"))
