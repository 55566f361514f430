"""`wellhead image export`: an image of the store as an OCI archive of one layer.

The layers that an image came in aren't kept, only what they make together; so what is exported and loaded
again is equal, but has another ID.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from wellhead.images.archive import architecture
from wellhead.images.layout import write_archive, write_layer
from wellhead.images.store import Image, ImageStore
from wellhead.linux.files import put_in_place


def export(store: ImageStore, image: Image, name: str, target: Path) -> None:
    """Write the image, under a full name, to a file that is there only when all of it is.

    Raises OSError.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.resolve().parent) as directory:
        work = Path(directory)
        layer = write_layer(store.rootfs(image), work / "layer")
        with (work / "archive").open("wb") as file:
            write_archive(file, [name], _configuration(image), [layer])
        put_in_place(work / "archive", target)


def _configuration(image: Image) -> dict[str, Any]:
    config: dict[str, Any] = msgspec.to_builtins(image.config)
    if image.config.volumes:
        config["Volumes"] = {path: {} for path in image.config.volumes}
    return {"architecture": architecture(), "os": "linux", "created": image.created, "config": config}
