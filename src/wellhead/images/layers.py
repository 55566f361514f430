"""The layers of an image, looked through before anything is unpacked: names, kinds, numbers and sizes.

umoci resolves names inside the root file system, but it follows a whiteout that climbs (`.wh...`) out of it
and removes what it finds there. What a layer of any honest tool has passes here; the rest is refused.

Source: OCI image-spec, layer.md.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from wellhead.images.bounds import Bounds, ImageError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."  # what aufs kept for itself; found in old layers, and never applied
_HEADER_MAX = 1 << 20  # of a name or of extended headers, as Go's archive/tar
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class Header(tarfile.TarInfo):
    """A header that isn't read into memory when it is absurdly long."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in (*_EXTENSIONS, *_LONG) and self.size > _HEADER_MAX:
            raise ImageError(f"a header of {self.size} bytes")
        proceed = getattr(super(), "_proc_member")  # noqa: B009 tarfile's own, which typeshed doesn't list
        member: tarfile.TarInfo = proceed(archive)
        return member


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Counting:
    """Of a stream, no more than so many bytes."""

    def __init__(self, stream: _Readable, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        if self.count > self._limit:
            raise ImageError("it unpacks to more than the bound; see --max-size")
        return data


def refusal(member: tarfile.TarInfo) -> str | None:
    """Why an entry of a layer can't be taken; None if it can."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts:
        return "a name with `..`"
    if "\0" in member.name or "\0" in member.linkname:
        return "a name with a NUL"
    if not parts and not member.isdir():
        return "the root directory is no directory"
    if member.islnk() and ".." in member.linkname.split("/"):
        return f"a hard link to {member.linkname!r}, outside of the image"
    if any(part.startswith(_WHITEOUT) for part in parts[:-1]) and not parts[0].startswith(_AUFS):
        return "something below a whiteout"
    name = parts[-1] if parts else ""
    if name.startswith(_WHITEOUT) and name != _OPAQUE and not name.startswith(_AUFS):
        return _whiteout_refusal(name)
    return None


def _whiteout_refusal(name: str) -> str | None:
    removed = name.removeprefix(_WHITEOUT)
    return "a whiteout of no file" if removed in ("", ".", "..") else None


def _members(archive: tarfile.TarFile, stream: _Counting) -> Iterator[tarfile.TarInfo]:
    """The entries. An archive may end with its last file's last byte, as `umoci insert` 0.4 writes it.

    Source: Go, archive/tar: padding may be missing at the end, a part of a file may not.
    """
    end = 0
    try:
        for member in archive:
            end = member.offset_data + (member.size if member.isreg() else 0)
            yield member
    except tarfile.ReadError:
        if not end <= stream.count < -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE:
            raise


def check(layers: list[Path], bounds: Bounds) -> None:
    """Read all layers of an image (tar, compressed by gzip) once. Raises ImageError."""
    size, entries = 0, 0
    for number, layer in enumerate(layers, 1):
        where = f"layer {number} of {len(layers)}"
        try:
            with gzip.open(layer) as stream:
                # Headers and padding come on top of the files' own bytes.
                counted = _Counting(stream, bounds.size - size + (64 << 20))
                with tarfile.open(fileobj=counted, mode="r|", tarinfo=Header) as archive:  # type: ignore[call-overload]
                    for member in _members(archive, counted):
                        entries += 1
                        size += member.size if member.isreg() else 0
                        if problem := refusal(member):
                            raise ImageError(f"{member.name!r}: {problem}")
                        if entries > bounds.entries:
                            raise ImageError(f"more than {bounds.entries} files; see --max-files")
                        if size > bounds.size:
                            raise ImageError("it unpacks to more than the bound; see --max-size")
                        archive.members = []
                while counted.read(1 << 20):  # umoci reads on: so must we
                    pass
        except ImageError as error:
            raise ImageError(f"{where}: {error}") from None
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ImageError(f"{where} is no tar archive: {error}") from None
