"""`wellhead image export`: an image of the store as an OCI archive of one layer.

The layers that an image came in aren't kept, only what they make together; so what is exported and loaded
again is equal, but has another ID.

Source: OCI image-spec, image-layout.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from wellhead.images.archive import REF_NAME, architecture
from wellhead.images.store import Image, ImageStore

_TYPE = "application/vnd.oci.image"


def export(store: ImageStore, image: Image, name: str, target: Path) -> None:
    """Write the image, under a full name, to a file that is there only when all of it is.

    Raises OSError.
    """
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.resolve().parent) as directory:
        work = Path(directory)
        with (work / "layer").open("wb") as file:
            plain = _write_layer(store.rootfs(image), file)
        config = msgspec.json.encode(_configuration(image, plain))
        layer = _descriptor("layer.v1.tar+gzip", _digest(work / "layer"), (work / "layer").stat().st_size)
        manifest = msgspec.json.encode(
            {
                "schemaVersion": 2,
                "mediaType": f"{_TYPE}.manifest.v1+json",
                "config": _described("config.v1+json", config),
                "layers": [layer],
            }
        )
        entry = _described("manifest.v1+json", manifest) | {"annotations": {REF_NAME: name}}
        archive = work / "archive"
        with tarfile.open(archive, "w") as made:
            _add(made, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(made, "index.json", msgspec.json.encode({"schemaVersion": 2, "manifests": [entry]}))
            for content in (manifest, config):
                _add(made, f"blobs/sha256/{hashlib.sha256(content).hexdigest()}", content)
            made.add(work / "layer", f"blobs/{layer['digest'].replace(':', '/')}")
        os.rename(archive, target)


def _configuration(image: Image, layer: str) -> dict[str, Any]:
    config: dict[str, Any] = msgspec.to_builtins(image.config)
    if image.config.volumes:
        config["Volumes"] = {path: {} for path in image.config.volumes}
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": image.created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    }


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


def _write_layer(rootfs: Path, file: BinaryIO) -> str:
    """Write a tree as a compressed layer; the digest of what was compressed."""
    with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=file, mtime=0) as packed:
        hashed = _Hashed(packed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as layer:
            for directory, names, others in os.walk(rootfs):
                inside = Path(directory).relative_to(rootfs)
                if inside == Path():
                    _add_file(layer, directory, ".")
                for name in sorted((*names, *others)):
                    _add_file(layer, os.path.join(directory, name), str(inside / name))
    return f"sha256:{hashed.digest.hexdigest()}"


def _add_file(layer: tarfile.TarFile, path: str, name: str) -> None:
    info = layer.gettarinfo(path, name)
    if info is None:  # a socket, which no archive can hold
        return
    info.uname = info.gname = ""
    for key in os.listxattr(path, follow_symlinks=False):
        value = os.getxattr(path, key, follow_symlinks=False)
        info.pax_headers = {**info.pax_headers, f"SCHILY.xattr.{key}": value.decode(errors="surrogateescape")}
    if info.isreg():
        with open(path, "rb") as content:
            layer.addfile(info, content)
    else:
        layer.addfile(info)


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
