"""Names that mean something else. Upstream: WarningsForStaticSuffix in pkg/apis/admissionregistration."""

from __future__ import annotations

from wellhead.api.meta import Obj

_STATIC = ".static.k8s.io"


def of_configuration(obj: Obj) -> list[str]:
    """A configuration of webhooks or a policy: upstream's files may hold such ones, too."""
    if not (obj["metadata"].get("name") or "").endswith(_STATIC):
        return []
    return [
        f'metadata.name: names ending with "{_STATIC}" are reserved for static manifest-based configurations'
        " and cannot be managed via the API"
    ]
