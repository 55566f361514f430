"""What pods want pulled, read from the API's objects. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wellhead.api.kinds.pod import pulls
from wellhead.api.meta import Obj


@dataclass(frozen=True)
class Want:
    """A container that waits for an image; `secrets` are the names of those with credentials."""

    uid: str
    namespace: str
    pod: str
    container: str
    image: str
    secrets: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.uid, self.container


@dataclass(frozen=True)
class Wants:
    """A pod's, as of this version of it."""

    uid: str
    version: int
    wants: tuple[Want, ...]


def read(pod: Obj) -> Wants:
    """What a pod wants now."""
    metadata = pod["metadata"]
    requested = pulls.requested(pod)
    secrets: tuple[str, ...] = ()
    if requested:
        listed = pod["spec"].get("imagePullSecrets") or ()
        secrets = tuple(each["name"] for each in listed if each.get("name"))
    wants = tuple(
        Want(metadata["uid"], metadata["namespace"], metadata["name"], container, image, secrets)
        for container, image in requested.items()
    )
    return Wants(metadata["uid"], int(metadata["resourceVersion"]), wants)
