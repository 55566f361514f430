"""The images that are on this machine: DIR/ID/{image.json, rootfs/}."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wellhead.node.images.reference import normalize

MANIFEST = "image.json"


class Config(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """What a container made from the image does by default (OCI image-spec, config.md)."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = "/"
    user: str = ""
    stop_signal: str = ""


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image. `recipe` is the version of the instructions that it was built by; `size` is in bytes."""

    id: str
    names: tuple[str, ...]
    config: Config
    recipe: str
    created: str
    size: int
    packages: tuple[str, ...] = ()


class ImageNotFound(LookupError):
    """No image of that name is here; the message names those that are."""


class ImageStore:
    """Finds images by name. Reads the directory each time, so an image that was just built is found."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def images(self) -> list[Image]:
        """All images, the newest first."""
        found = [
            msgspec.json.decode(manifest.read_bytes(), type=Image)
            for manifest in self.directory.glob(f"*/{MANIFEST}")
            if not manifest.parent.name.startswith(".")
        ]
        return sorted(found, key=lambda image: image.created, reverse=True)

    def find(self, name: str) -> Image:
        """The newest image that has this name, in a short or a full form. Raises ImageNotFound."""
        wanted = normalize(name)
        images = self.images()
        for image in images:
            if wanted in image.names or wanted == image.id:
                return image
        known = ", ".join(sorted({known for image in images for known in image.names})) or "none"
        raise ImageNotFound(f"no image {wanted} on this machine, and none is ever pulled; there are: {known}")

    def rootfs(self, image: Image) -> Path:
        """The image's unpacked root file system. Never write there: it is the lower layer of containers."""
        return self.directory / image.id.removeprefix("sha256:") / "rootfs"
