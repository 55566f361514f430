"""Archives of images, made by hand: what `docker save` and others write, and what nobody honest would."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wellhead.images import archive

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
REF = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class Entry:
    """An entry of a layer. `type` and `target` as tarfile has them."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    type: bytes = tarfile.REGTYPE
    target: str = ""
    uid: int = 0
    device: tuple[int, int] = (0, 0)


def directory(name: str, mode: int = 0o755) -> Entry:
    return Entry(name, mode=mode, type=tarfile.DIRTYPE)


def tar(entries: Iterable[Entry]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.mode, info.uid, info.linkname = entry.type, entry.mode, entry.uid, entry.target
            info.size = len(entry.content)
            info.devmajor, info.devminor = entry.device
            made.addfile(info, io.BytesIO(entry.content))
    return data.getvalue()


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def configuration(layers: Iterable[bytes], **config: Any) -> bytes:
    return json.dumps(
        {
            "architecture": archive.architecture(),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
        }
    ).encode()


def docker_archive(path: Path, images: dict[str, tuple[list[bytes], bytes]]) -> Path:
    """What `docker save` wrote for years: for each name (or "") layers and a configuration."""
    files: dict[str, bytes] = {}
    listed = []
    for name, (layers, config) in images.items():
        names = []
        for layer in layers:
            names.append(f"{digest(layer)[7:]}/layer.tar")
            files[names[-1]] = layer
        place = f"{digest(config)[7:]}.json"
        files[place] = config
        listed.append({"Config": place, "RepoTags": [name] if name else None, "Layers": names})
    files["manifest.json"] = json.dumps(listed).encode()
    path.write_bytes(tar(Entry(name, content) for name, content in files.items()))
    return path


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


class Layout:
    """An OCI layout as it grows: the files by name."""

    def __init__(self) -> None:
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.entries: list[dict[str, Any]] = []

    def blob(self, data: bytes, kind: str) -> dict[str, Any]:
        """Add a blob; its descriptor."""
        self.files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def image(self, layers: list[bytes], config: bytes, *, compress: str = "gzip") -> dict[str, Any]:
        """Add an image; its manifest's descriptor."""
        pack = {"gzip": lambda each: gzip.compress(each, 1), "zstd": _zstd, "": bytes}[compress]
        kind = f"{LAYER}+{compress}" if compress else LAYER
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(pack(each), kind) for each in layers],
        }
        return self.blob(json.dumps(manifest).encode(), MANIFEST)

    def index(self, *manifests: dict[str, Any]) -> dict[str, Any]:
        """Add an index; its descriptor."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return self.blob(json.dumps(document).encode(), INDEX)

    def name(self, descriptor: dict[str, Any], name: str) -> None:
        """Give an image or an index a name."""
        self.entries.append(descriptor | ({"annotations": {REF: name}} if name else {}))

    def everything(self) -> dict[str, bytes]:
        index = {"schemaVersion": 2, "manifests": self.entries}
        return self.files | {"index.json": json.dumps(index).encode()}

    def archive(self, path: Path) -> Path:
        path.write_bytes(tar(Entry(name, content) for name, content in self.everything().items()))
        return path

    def directory(self, path: Path) -> Path:
        for name, content in self.everything().items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path
