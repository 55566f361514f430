"""From an OCI layout of one image, as skopeo makes it, to an image of the store.

`unpack` works beside the store, as long as it takes; `settle` puts the result into it.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wellhead.images import access, container_config, layers, placing, programs, sharing
from wellhead.images.access import Pulled
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.store import Config, Image, ImageStore

_CONFIGURATIONS = (
    "",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)


@dataclass(frozen=True)
class Unpacked:
    """A directory with the image's root file system, its configuration, and its ID."""

    directory: Path
    config: Config
    id: str


def unpack(layout: Path, place: Path, bounds: Bounds, step: Callable[[str], None]) -> Unpacked:
    """Look through the layers and unpack them below `place`. Raises ImageError, OSError."""
    step("looking through its layers")
    image_id, config, blobs = _parts(layout)
    layers.check(blobs, bounds)
    step("unpacking")
    result = place / "result"
    result.mkdir(mode=0o700)  # set-user-ID programs of strangers are for nobody on the host
    programs.run(
        place, bounds.size, "umoci", "raw", "unpack", "--image", f"{layout}:image", f"{result}/rootfs"
    )
    if not stat.S_ISDIR((result / "rootfs").lstat().st_mode):
        raise ImageError("its layers leave no root directory")
    return Unpacked(result, container_config.read(config), image_id)


def settle(
    store: ImageStore, unpacked: Unpacked, id: str, names: tuple[str, ...], pulled: Pulled | None = None
) -> Image:
    """Put it into the store, which nobody else changes meanwhile (`placing.changing`). Raises OSError.

    `pulled`: the puller has got it for a pod.
    """
    rootfs = unpacked.directory / "rootfs"
    sharing.share(store, rootfs)
    image = Image(
        id=id,
        names=names,
        config=unpacked.config,
        recipe="",
        created=placing.now(),
        size=placing.size_of(rootfs),
        access=access.after({}, (), names, pulled),
    )
    placing.place(store, unpacked.directory, image)
    take_names(store, image)
    return image


def known(store: ImageStore, id: str, names: tuple[str, ...], pulled: Pulled | None = None) -> Image | None:
    """The image if the store has it, with these names as well from now on; None if not. As `settle`."""
    found = next((image for image in store.images() if image.id == id), None)
    if found is None:
        return None
    every = tuple(dict.fromkeys((*found.names, *names)))
    allowed = access.after(found.access, found.names, names, pulled)
    image = msgspec.structs.replace(found, names=every, created=placing.now(), access=allowed)
    placing.write_manifest(store, image)
    placing.tell(store)
    take_names(store, image)
    return image


def take_names(store: ImageStore, image: Image) -> None:
    """A name is one image's: who had one of these before has it no more."""
    taken = set(image.names)
    for other in store.images():
        if other.id != image.id and taken.intersection(other.names):
            left = tuple(name for name in other.names if name not in taken)
            placing.write_manifest(store, msgspec.structs.replace(other, names=left))


def _parts(layout: Path) -> tuple[str, bytes, list[Path]]:
    """The ID, the configuration and the layers of the one image in a layout that skopeo made."""
    entry = msgspec.json.decode((layout / "index.json").read_bytes())["manifests"][0]
    manifest = msgspec.json.decode(_path(layout, entry["digest"]).read_bytes())
    kind = manifest["config"].get("mediaType", "")
    if kind not in _CONFIGURATIONS:
        raise ImageError(f"it is no container image, but {kind[:200]!r}")
    config = _path(layout, manifest["config"]["digest"])
    if config.stat().st_size > 8 << 20:
        raise ImageError(f"its configuration has {config.stat().st_size} bytes")
    blobs = [_path(layout, each["digest"]) for each in manifest["layers"]]
    return manifest["config"]["digest"], config.read_bytes(), blobs


def _path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")
