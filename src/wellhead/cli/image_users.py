"""Which pods use an image: what the agents of all clusters on this machine have written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from wellhead.images.store import Image
from wellhead.node.pods.record import FILE, PodRecord


def users(image: Image, clusters: Path) -> Iterator[str]:
    """The pods whose containers are of this image, as `cluster NAME, node NODE: pod NAMESPACE/NAME`.

    `clusters` is the directory of all clusters' state.
    """
    for path in sorted(clusters.glob(f"*/nodes/*/pods/*/{FILE}")):
        try:
            record = msgspec.json.decode(path.read_bytes(), type=PodRecord)
            metadata = record.pod["metadata"]
            name = f"{metadata['namespace']}/{metadata['name']}"
        except (OSError, msgspec.DecodeError, KeyError):
            continue  # gone meanwhile
        if record.phase:
            continue
        current = [each.current for each in record.containers.values()]
        if any(each is not None and each.image_id == image.id for each in current):
            node, cluster = path.parts[-4], path.parts[-6]
            yield f"cluster {cluster}, node {node}: pod {name}"
