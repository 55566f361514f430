"""Volumes that are an image's files: found, or pulled, as a container's image is (KEP-4639)."""

from __future__ import annotations

from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.images import reference
from wellhead.images.store import Image
from wellhead.node.pods.images import Images
from wellhead.node.pods.state import PodState
from wellhead.node.volumes.content import VolumeError


class ImageVolumes:
    """Finds the images of one pod's volumes."""

    def __init__(self, state: PodState) -> None:
        self._state = state
        self._finders: dict[str, Images] = {}

    async def find(self, volume: Obj) -> Path:
        """The root file system of the volume's image. Raises VolumeError, ApiError, ConnectionLost."""
        source, name = volume["image"] or {}, f"volume.{volume['name']}"
        wanted = str(source.get("reference") or "")
        if not wanted:
            raise VolumeError("it names no image (image.reference)")
        default = "Always" if reference.has_latest_tag(wanted) else "IfNotPresent"
        policy = source.get("pullPolicy") or default
        finder = self._finders.setdefault(name, Images(self._state))
        found = await finder.find({"name": name, "image": wanted, "imagePullPolicy": policy})
        if isinstance(found, Image):
            self._state.wait_for(name, None)
            return self._state.context.images.rootfs(found)
        waiting = self._state.view.waiting.get(name)
        raise VolumeError(f"{waiting.reason}: {waiting.message}" if waiting else wanted)
