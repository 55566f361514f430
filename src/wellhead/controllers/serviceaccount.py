"""What every namespace has: the ServiceAccount `default`, and the ConfigMap `kube-root-ca.crt`.

Pods need both: the one to run as, the other to verify the API server's certificate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from wellhead.api.errors import AlreadyExists, ApiError, namespace_ends
from wellhead.api.meta import Obj, is_deleting
from wellhead.api.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS
from wellhead.client.reconciler import Reconciler
from wellhead.controllers.store import Store, Stores
from wellhead.health import Check

ROOT_CA = "kube-root-ca.crt"

_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such "
    "as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions "
    "of Kubernetes clusters."
)


class _PerNamespace(ABC):
    """Keeps one object in each namespace. Reconciles namespaces by name."""

    name: str

    def __init__(self, stores: Stores, store: Store[Obj], object_name: str) -> None:
        self._stores = stores
        self._store = store
        self._object_name = object_name
        self._namespaces: Store[Obj] = stores[NAMESPACES]
        self._reconciler = Reconciler(self.name, self._reconcile)
        self._namespaces.on_change(self._namespace_changed)
        store.on_change(self._object_changed)

    async def run(self) -> None:
        await self._stores.synced(NAMESPACES, self._store.resource)
        await self._reconciler.run()

    def checks(self) -> list[Check]:
        return self._reconciler.checks()

    @abstractmethod
    def wanted(self, before: Obj | None) -> Obj | None:
        """What of the object differs from what it should be: fields to set; None if nothing does."""

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self._reconciler.enqueue(new["metadata"]["name"])

    def _object_changed(self, old: Obj | None, new: Obj | None) -> None:
        metadata = (new or old or {})["metadata"]
        if metadata["name"] == self._object_name:
            self._reconciler.enqueue(metadata["namespace"])

    async def _reconcile(self, namespace: str) -> float | None:
        there = self._namespaces.get(namespace)
        if there is None or is_deleting(there) or (there.get("status") or {}).get("phase") == "Terminating":
            return None
        before = self._store.get(self._object_name, namespace)
        wanted = self.wanted(before)
        if wanted is None:
            return None
        if before is not None:
            await self._store.update({**before, **wanted})
            return None
        resource = self._store.resource
        metadata = {"name": self._object_name, "namespace": namespace, **_annotations(wanted)}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **wanted, "metadata": metadata}
        try:
            await self._store.create(body)
        except AlreadyExists:
            return None  # and the watch is about to show it
        except ApiError as error:
            if namespace_ends(error):
                return None
            raise
        return None


def _annotations(wanted: Mapping[str, Obj]) -> Obj:
    return dict(wanted.get("metadata") or {})


class DefaultServiceAccountController(_PerNamespace):
    """Keeps the ServiceAccount `default` in each namespace."""

    name = "serviceaccount"

    def __init__(self, stores: Stores) -> None:
        super().__init__(stores, stores[SERVICEACCOUNTS], "default")

    def wanted(self, before: Obj | None) -> Obj | None:
        return {} if before is None else None


class RootCaController(_PerNamespace):
    """Keeps the ConfigMap with the cluster's CA in each namespace. `certificate` is PEM."""

    name = "root-ca-certificate-publisher"

    def __init__(self, stores: Stores, certificate: str) -> None:
        self._data = {"ca.crt": certificate}
        super().__init__(stores, stores[CONFIGMAPS], ROOT_CA)

    def wanted(self, before: Obj | None) -> Obj | None:
        if before is None:
            annotations = {"kubernetes.io/description": _DESCRIPTION}
            return {"data": self._data, "metadata": {"annotations": annotations}}
        return {"data": self._data} if before.get("data") != self._data else None
