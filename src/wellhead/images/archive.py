"""What there is in an archive of images: each image's names, its ID, and where skopeo finds it.

Three kinds: an OCI layout (a directory, or a tar archive of one), and what `docker save` writes. Today's
`docker save` writes both at once; then it is read as an OCI layout, which also tells digests and platforms.

Source: OCI image-spec, image-layout.md and image-index.md; moby/moby, image/spec/v1.2.md.
"""

from __future__ import annotations

import hashlib
import platform
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wellhead.images import reference
from wellhead.images.bounds import Bounds, ImageError
from wellhead.images.layers import Header

_BLOB = re.compile(r"(?:\./)?(blobs/(?:sha256/[a-f0-9]{64}|sha512/[a-f0-9]{128}))", re.ASCII)
_DIGEST = re.compile(r"(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})", re.ASCII)
_DOCUMENT_MAX = 8 << 20  # bytes of an index, a manifest or a configuration
_IMAGES_MAX = 1000
_DEPTH = 3  # of indexes in indexes
_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "loongarch64": "loong64",
}


@dataclass(frozen=True)
class Source:
    """One image of an archive. `names` are in full form; `digests` are those it is known by elsewhere."""

    location: str
    id: str
    names: tuple[str, ...]
    digests: tuple[str, ...] = ()


class Platform(msgspec.Struct):
    """What an image is for."""

    architecture: str = ""
    os: str = ""


class Descriptor(msgspec.Struct, rename="camel"):
    """What a document says of another one, or of a blob."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct):
    """Several images, or the same one for several platforms."""

    manifests: list[Descriptor]


class Manifest(msgspec.Struct):
    """One image."""

    config: Descriptor
    layers: list[Descriptor]


class _Saved(msgspec.Struct, rename="pascal"):
    config: str
    repo_tags: tuple[str, ...] | None = None


def architecture() -> str:
    """This machine's, in Go's words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def sources(path: Path, work: Path, bounds: Bounds) -> list[Source]:
    """The images of an OCI layout's directory, or of an archive that isn't compressed.

    `work` is an empty directory for what must be laid out. Raises ImageError, OSError.
    """
    if path.is_dir():
        if not (path / "index.json").is_file():
            raise ImageError("a directory without index.json: no OCI layout")
        (work / "layout").mkdir()
        (work / "layout/blobs").symlink_to((path / "blobs").resolve())
        return _of_layout(_read(path / "index.json"), work / "layout")
    try:
        with tarfile.open(path, mode="r:", tarinfo=Header) as archive:
            return _of_archive(archive, path, work, bounds)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise ImageError(f"no archive of images: {error}") from None


def _of_archive(archive: tarfile.TarFile, path: Path, work: Path, bounds: Bounds) -> list[Source]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        members[member.name.removeprefix("./")] = member
        if len(members) > bounds.entries:
            raise ImageError(f"more than {bounds.entries} files; see --max-files")
    if "index.json" in members and "oci-layout" in members:
        layout = work / "layout"
        layout.mkdir()
        total = 0
        for name, member in members.items():
            if member.isreg() and _BLOB.fullmatch(name):
                total += member.size
                if total > bounds.size:
                    raise ImageError(f"larger than {bounds.size} bytes; see --max-size")
                (layout / name).parent.mkdir(parents=True, exist_ok=True)
                _extract(archive, member, layout / name)
        return _of_layout(_member(archive, members["index.json"]), layout)
    if "manifest.json" in members:
        return _of_saved(archive, members, path)
    raise ImageError(
        "no archive of images: neither index.json (OCI) nor manifest.json (docker save) is in it"
    )


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    assert content is not None
    with content, target.open("wb") as file:
        while data := content.read(1 << 20):
            file.write(data)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if not member.isreg() or member.size > _DOCUMENT_MAX:
        raise ImageError(f"{member.name!r} is no file of at most {_DOCUMENT_MAX} bytes")
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


def _of_saved(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], path: Path) -> list[Source]:
    saved = decode(_member(archive, members["manifest.json"]), list[_Saved], "manifest.json")
    found = []
    for number, each in enumerate(saved[: _IMAGES_MAX + 1]):
        config = members.get(each.config)
        if config is None:
            raise ImageError(f"manifest.json names {each.config!r}, which is not in the archive")
        digest = f"sha256:{hashlib.sha256(_member(archive, config)).hexdigest()}"
        names = tuple(map(_checked_name, each.repo_tags or ()))
        found.append(Source(f"docker-archive:{path}:@{number}", digest, names))
    return _bounded(found)


def _of_layout(data: bytes, layout: Path) -> list[Source]:
    found: dict[str, Source] = {}
    by_entry: dict[tuple[str, ...], list[Descriptor]] = {}
    for entry in decode(data, Index, "index.json").manifests:
        by_entry.setdefault(_names(entry) or (entry.digest,), []).append(entry)
    for entries in by_entry.values():
        names = _names(entries[0])
        chain = chosen(entries, lambda entry: _blob(layout, entry))
        manifest = decode(_blob(layout, chain[-1]), Manifest, "a manifest")
        check_digest(manifest.config.digest)
        digests = tuple(
            f"{repository}@{each.digest}"
            for repository in sorted({reference.repository(name) for name in names})
            for each in chain
        )
        if known := found.get(chain[-1].digest):
            names, digests = (*known.names, *names), (*known.digests, *digests)
        alone = layout.parent / f"layout-{len(found)}"
        location = known.location if known else f"oci:{_alone(alone, layout, chain[-1])}:image"
        found[chain[-1].digest] = Source(location, manifest.config.digest, names, digests)
    return _bounded(list(found.values()))


def _alone(alone: Path, layout: Path, manifest: Descriptor) -> Path:
    """A layout beside `layout`, with the same blobs, in which this image is the only one."""
    alone.mkdir()
    (alone / "blobs").symlink_to(layout / "blobs")
    (alone / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    kind = manifest.media_type or "application/vnd.oci.image.manifest.v1+json"
    entry = {
        "mediaType": kind,
        "digest": manifest.digest,
        "size": manifest.size,
        "annotations": {REF_NAME: "image"},
    }
    (alone / "index.json").write_bytes(msgspec.json.encode({"schemaVersion": 2, "manifests": [entry]}))
    return alone


def _names(entry: Descriptor) -> tuple[str, ...]:
    notes = entry.annotations or {}
    if name := notes.get(_NAME):
        return (_checked_name(name),)
    name = notes.get(REF_NAME, "")
    # A lone word is a tag by the specification, and of which repository it doesn't say.
    return (_checked_name(name),) if re.search("[/:@]", name) else ()


def _checked_name(name: str) -> str:
    if problem := reference.problem(name):
        raise ImageError(f"it names an image {name[:300]!r}: {problem}")
    return reference.normalize(name)


def chosen(
    entries: list[Descriptor], read: Callable[[Descriptor], bytes], depth: int = 0
) -> list[Descriptor]:
    """From the entries of one name to the manifest for this machine: the descriptors on the way.

    `read` gets the document that a descriptor is of. Raises ImageError.
    """
    wanted = architecture()
    offered = []
    for entry in entries:
        of = entry.platform
        if of is None or (of.os, of.architecture) == ("linux", wanted):
            if not _is_index(entry, read):
                return [entry]
            if depth == _DEPTH:
                raise ImageError("an index in an index in an index: too deep")
            below = decode(read(entry), Index, "an index").manifests
            return [entry, *chosen(below, read, depth + 1)]
        offered.append(f"{of.os}/{of.architecture}")
    known = ", ".join(sorted(set(offered) - {"unknown/unknown"})) or "nothing"
    raise ImageError(f"there is no image for linux/{wanted} in it, but for {known[:500]}")


def _is_index(entry: Descriptor, read: Callable[[Descriptor], bytes]) -> bool:
    if entry.media_type:
        return entry.media_type in _INDEXES
    return b'"manifests"' in read(entry)


def _blob(layout: Path, descriptor: Descriptor) -> bytes:
    algorithm, _, digest = check_digest(descriptor.digest).partition(":")
    try:
        data = _read(layout / "blobs" / algorithm / digest)
    except FileNotFoundError:
        raise ImageError(f"blob {descriptor.digest} is not in it") from None
    if hashlib.new(algorithm, data).hexdigest() != digest:
        raise ImageError(f"blob {descriptor.digest} has another digest")
    return data


def check_digest(digest: str) -> str:
    """The digest, if it is one. Raises ImageError."""
    if not _DIGEST.fullmatch(digest):
        raise ImageError(f"{digest[:200]!r} is no digest")
    return digest


def _read(path: Path) -> bytes:
    if not path.is_file() and path.exists():
        raise ImageError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        data = file.read(_DOCUMENT_MAX + 1)
    if len(data) > _DOCUMENT_MAX:
        raise ImageError(f"{path.name} is larger than {_DOCUMENT_MAX} bytes")
    return data


def decode(data: bytes, type: Any, what: str) -> Any:
    """A document as a value; `what` is what it should be. Raises ImageError."""
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ImageError(f"{what}: {error}") from None


def _bounded(found: list[Source]) -> list[Source]:
    if not found:
        raise ImageError("there is no image in it")
    if len(found) > _IMAGES_MAX:
        raise ImageError(f"more than {_IMAGES_MAX} images")
    return found
