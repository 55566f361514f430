"""The ConfigMap that tells servers behind this one whom to believe: extension-apiserver-authentication.

Upstream: pkg/controlplane/controller/clusterauthenticationtrust.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from wellhead.api.errors import AlreadyExists
from wellhead.api.meta import Obj
from wellhead.api.resources import CONFIGMAPS
from wellhead.apiserver.registry.registry import Registry
from wellhead.storage.encoding import encode_json

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"


def trusted(client_ca: str, front_proxy_ca: str, names: Sequence[str]) -> dict[str, str]:
    """Its data. `names` are those that a front proxy's certificate may have; none: any."""

    def listed(*values: str) -> str:
        return encode_json(list(values)).decode()

    data = {"client-ca-file": client_ca}
    if front_proxy_ca:
        data |= {
            "requestheader-client-ca-file": front_proxy_ca,
            "requestheader-allowed-names": listed(*names),
            "requestheader-username-headers": listed("X-Remote-User"),
            "requestheader-uid-headers": listed("X-Remote-Uid"),
            "requestheader-group-headers": listed("X-Remote-Group"),
            "requestheader-extra-headers-prefix": listed("X-Remote-Extra-"),
        }
    return data


async def ensure_trust(registry: Registry, data: dict[str, str]) -> None:
    """Raises InternalError when it can't be stored."""
    found = registry.lookup(CONFIGMAPS, (NAMESPACE, NAME))
    if found is None:
        wanted: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data}
        with contextlib.suppress(AlreadyExists):  # another server is starting, too
            await registry.create(CONFIGMAPS, NAMESPACE, wanted)
    elif found.get("data") != data:
        await registry.update(CONFIGMAPS, NAMESPACE, NAME, lambda old: {**old, "data": data})
