"""Writing archives of images: layers of trees, and around them what OCI's tools and Docker's ask for.

What is given a time is written so that equal trees make equal bytes: sorted, root's, all of that time.

Source: OCI image-spec, image-layout.md; moby/moby, image/spec/v1.2.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from wellhead.images.archive import REF_NAME

_TYPE = "application/vnd.oci.image"
_CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True)
class Layer:
    """A compressed layer in a file. `plain` is the digest before that, `unpacked` the bytes of its files."""

    path: Path
    digest: str
    plain: str
    size: int
    unpacked: int


class _Hashed(io.RawIOBase):
    """What is written to it goes into a file and a digest."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return self._file.write(data)


def write_layer(
    rootfs: Path, target: Path, *, time: int | None = None, wanted: Callable[[str], bool] = lambda path: True
) -> Layer:
    """Write a tree, or of it the paths (relative) that are `wanted`, as a compressed layer.

    With `time`, in seconds since 1970, everything is root's and of that time. Raises OSError.
    """
    unpacked = 0
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
    ):
        hashed = _Hashed(packed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as layer:
            for path in _paths(rootfs):
                if wanted(path):
                    unpacked += _add_file(layer, rootfs / path, path, time)
    return Layer(
        target, _digest(target), f"sha256:{hashed.digest.hexdigest()}", target.stat().st_size, unpacked
    )


def _paths(rootfs: Path) -> Iterable[str]:
    yield "."
    for directory, names, others in os.walk(rootfs):
        names.sort()
        inside = Path(directory).relative_to(rootfs)
        for name in sorted((*names, *others)):
            yield str(inside / name)


def _add_file(layer: tarfile.TarFile, path: Path, name: str, time: int | None) -> int:
    info = layer.gettarinfo(path, name)
    if info is None:  # a socket, which no archive can hold
        return 0
    info.uname = info.gname = ""
    if time is not None:
        info.uid = info.gid = 0
        info.mtime = time
    for key in os.listxattr(path, follow_symlinks=False):
        value = os.getxattr(path, key, follow_symlinks=False)
        info.pax_headers = {**info.pax_headers, f"SCHILY.xattr.{key}": value.decode(errors="surrogateescape")}
    if info.isreg():
        with open(path, "rb") as content:
            layer.addfile(info, content)
        return info.size
    layer.addfile(info)
    return 0


def write_archive(
    target: BinaryIO,
    names: Sequence[str],
    configuration: dict[str, Any],
    layers: Sequence[Layer],
) -> str:
    """Write an archive of one image under full names; the digest of its manifest.

    `configuration` is the image's without its `rootfs`. Raises OSError.
    """
    diffs = {"type": "layers", "diff_ids": [each.plain for each in layers]}
    config = msgspec.json.encode(configuration | {"rootfs": diffs})
    described = [_descriptor("layer.v1.tar+gzip", each.digest, each.size) for each in layers]
    manifest = msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}.manifest.v1+json",
            "config": _described("config.v1+json", config),
            "layers": described,
        }
    )
    entry = _described("manifest.v1+json", manifest)
    entries = [entry | {"annotations": {_CONTAINERD_NAME: name, REF_NAME: name}} for name in names]
    saved = {  # for a Docker that knows no OCI layouts
        "Config": _blob(f"sha256:{hashlib.sha256(config).hexdigest()}"),
        "RepoTags": list(names),
        "Layers": [_blob(each.digest) for each in layers],
    }
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as made:
        _add(made, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(made, "index.json", msgspec.json.encode({"schemaVersion": 2, "manifests": entries}))
        _add(made, "manifest.json", msgspec.json.encode([saved]))
        for content in (manifest, config):
            _add(made, _blob(f"sha256:{hashlib.sha256(content).hexdigest()}"), content)
        for layer in {each.digest: each for each in layers}.values():
            info = tarfile.TarInfo(_blob(layer.digest))
            info.size = layer.size
            with layer.path.open("rb") as packed:
                made.addfile(info, packed)
    return str(entry["digest"])


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _described(kind: str, content: bytes) -> dict[str, Any]:
    return _descriptor(kind, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": digest, "size": size}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
