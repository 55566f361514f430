"""The images that are on this machine: DIR/ID/{image.json, rootfs/}."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import msgspec

from wellhead.images.access import Access
from wellhead.images.reference import normalize, repository

_NAMED = 20  # images at most that a message lists

_log = logging.getLogger(__name__)

MANIFEST = "image.json"
NEWS = ".news"
"""A file of the store that is another one after each change."""


class Config(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """What a container made from the image does by default (OCI image-spec, config.md)."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = "/"
    user: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image.

    `names` are in their full form, digests among them. `recipe` is the version of the instructions that it
    was built by, "" for one that was loaded; `size` is in bytes; `created` is when it came into the store.
    `access` says which pods may use it, by repository; of others a person has put it there for all.
    """

    id: str
    names: tuple[str, ...]
    config: Config
    recipe: str
    created: str
    size: int
    packages: tuple[str, ...] = ()
    access: dict[str, Access] = {}

    def name_by_digest(self, name: str) -> str:
        """What the image is called for good where `name` is from, or somewhere else; "" if nowhere.

        Of several in one place the first is that of the index, as containerd has it.
        """
        known = [each for each in self.names if "@" in each]
        own = f"{repository(name)}@"
        same = (each for each in known if each == normalize(name))
        there = (each for each in known if each.startswith(own))
        return next(iter((*same, *there, *known)), "")


class ImageNotFound(LookupError):
    """No image of that name is here; the message names those that are."""


class ImageStore:
    """Finds images by name. Looks into the directory each time, so an image that was just built is found.

    Blocks on the disk, so not for an event loop; any number of threads may use it at once. A manifest is read
    again only when its file is another one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, tuple[tuple[int, int], Image | None]] = {}

    def images(self) -> list[Image]:
        """All images, the newest first. One with a damaged manifest is left out, and logged once."""
        read = {}
        for directory in self._directories():
            try:
                info = (self.directory / directory / MANIFEST).stat()
            except OSError:
                continue  # not an image, or removed meanwhile
            version = info.st_ino, info.st_mtime_ns
            known = self._read.get(directory)
            if known is None or known[0] != version:
                known = version, self._load(directory)
            read[directory] = known
        self._read = read
        found = [image for _, image in read.values() if image is not None]
        return sorted(found, key=lambda image: image.created, reverse=True)

    def _directories(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.directory) if not name.startswith(".")]
        except FileNotFoundError:
            return []

    def _load(self, directory: str) -> Image | None:
        path = self.directory / directory / MANIFEST
        try:
            image = msgspec.json.decode(path.read_bytes(), type=Image)
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            _log.warning("%s: %s", path, error)
            return None
        if _directory_of(image.id) != directory:
            _log.warning("%s is of another image: %s", path, image.id)
            return None
        return image

    def find(self, name: str) -> Image:
        """The newest image that has this name, in a short or a full form. Raises ImageNotFound."""
        wanted = normalize(name)
        images = self.images()
        for image in images:
            if wanted in image.names or wanted == image.id:
                return image
        names = sorted({known for image in images for known in image.names if "@" not in known})
        more = ["…"] if len(names) > _NAMED else []
        known = ", ".join([*names[:_NAMED], *more]) or "none"
        raise ImageNotFound(
            f"no image {wanted} on this machine: `wellhead image load FILE` takes one from an archive, "
            "`wellhead image pull` from its registry, and `wellhead up --pull` lets pods pull; "
            f"there are: {known}"
        )

    def select(self, text: str) -> Image:
        """As `find`, and also by the beginning of an ID, as `image list` shows it. Raises ImageNotFound."""
        if re.fullmatch(r"(sha256:)?[0-9a-f]{6,64}", text):
            found = [each for each in self.images() if each.id[7:].startswith(text.removeprefix("sha256:"))]
            if len(found) == 1:
                return found[0]
        return self.find(text)

    def rootfs(self, image: Image) -> Path:
        """The image's unpacked root file system. Never write there: it is the lower layer of containers."""
        return self.directory / _directory_of(image.id) / "rootfs"


def _directory_of(id: str) -> str:
    return id.removeprefix("sha256:")
