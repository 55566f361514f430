"""`wellhead image load`: from an archive to images of the store.

skopeo reads the archive and makes an OCI layout of each image, with all digests checked and all layers
compressed by gzip (umoci knows nothing else); `unpacking.py` does the rest. Both programs are confined to a
directory that is thrown away.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from wellhead.images import archive, placing, programs, reference, unpacking
from wellhead.images.bird import NAME as BIRD
from wellhead.images.bounds import DEFAULT, Bounds, ImageError
from wellhead.images.etcd import NAME as ETCD
from wellhead.images.haproxy import NAME as HAPROXY
from wellhead.images.store import Image, ImageStore

Report = Callable[[str, int, int], None]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHERS = {b"\xfd7zX": "xz", b"BZh": "bzip2"}
"""What is not decompressed here, by how it begins."""
_COPIED_AT_ONCE = 1 << 20
_STEPS = 4  # copying, looking through, unpacking, sharing


def load(
    store: ImageStore,
    file: Path,
    *,
    name: str | None = None,
    bounds: Bounds = DEFAULT,
    report: Report = lambda what, done, total: None,
) -> list[Image]:
    """Put the images of an archive into the store; `-` is standard input. Returns them as they are there.

    `name` is what the one image of the archive is called, whatever the archive says. An image whose name
    another one gets stays, without it. Of an archive with several images those before a bad one are loaded.

    Raises:
        ImageError: the archive, or one of its images, can't be taken; a full disk among others.
    """
    if name is not None and (problem := reference.problem(name) or reserved(name)):
        raise ImageError(f"{name!r}: {problem}")
    try:
        with placing.changing(store), placing.workshop(store) as work:
            return _load(store, file, name, bounds, report, work)
    except ImageError as error:
        raise ImageError(f"{file}: {error}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(f"{file}: {programs.full(store.directory / '.')}") from None
        raise ImageError(f"{error.filename or file}: {error.strerror or error}") from None


def _load(
    store: ImageStore, file: Path, name: str | None, bounds: Bounds, report: Report, work: Path
) -> list[Image]:
    report("opening", 0, 0)
    found = archive.sources(_plain(file, work, bounds), work, bounds)
    if name is not None and len(found) > 1:
        raise ImageError(f"there are {len(found)} images in it: --name is for one")
    if name is None and (nameless := [each for each in found if not each.names]):
        raise ImageError(f"image {nameless[0].id[7:19]} has no name in it: give it one by --name REF")
    for each in found:
        if problem := next(filter(None, map(reserved, each.names)), None):
            raise ImageError(problem)
    loaded = []
    for number, source in enumerate(found):
        if name is not None:
            source = _named(source, name)

        def step(
            done: int, what: str = "", title: str = source.names[0], before: int = number * _STEPS
        ) -> None:
            report(f"{title}{what}", before + done, len(found) * _STEPS)

        with _shop(work) as place:
            loaded.append(_load_one(store, source, bounds, step, place))
    return loaded


@contextmanager
def _shop(work: Path) -> Iterator[Path]:
    place = work / "one"
    place.mkdir(mode=0o700)
    yield place
    # What is left of the layers makes room for the next image.
    shutil.rmtree(place, ignore_errors=True)


def _named(source: archive.Source, name: str) -> archive.Source:
    digests = tuple(
        f"{reference.repository(name)}@{digest}"
        for digest in dict.fromkeys(each.rpartition("@")[2] for each in source.digests)
    )
    return archive.Source(source.location, source.id, (reference.normalize(name),), digests)


def reserved(name: str) -> str | None:
    """Why nobody's image may be called that; None if it may."""
    for own in (HAPROXY, ETCD, BIRD):
        if reference.repository(name) == reference.repository(own):
            return f"{own} is an image of wellhead's own, whose programs run as root: use another name"
    return None


def _load_one(
    store: ImageStore, source: archive.Source, bounds: Bounds, step: Callable[..., None], place: Path
) -> Image:
    names = tuple(dict.fromkeys((*source.names, *source.digests)))
    if (known := unpacking.known(store, source.id, names)) is not None:
        return known
    step(0, ": copying")
    layout = place / "layout"
    # skopeo's own policy file may be missing, and who signed is for whoever fetched the image to look at.
    options = ("--insecure-policy", "--override-os", "linux", "--override-arch", archive.architecture())
    copy = ("copy", "--quiet", "--dest-compress-format", "gzip")
    programs.run(place.parent, bounds.size, "skopeo", *options, *copy, source.location, f"oci:{layout}:image")
    done = iter((1, 2))
    unpacked = unpacking.unpack(layout, place, bounds, lambda what: step(next(done), f": {what}"))
    step(3, ": sharing files")
    image = unpacking.settle(store, unpacked, source.id, names)
    step(_STEPS)
    return image


def _plain(file: Path, work: Path, bounds: Bounds) -> Path:
    """The archive as a file that isn't compressed: itself, or one in `work`."""
    if str(file) == "-":
        return _inflate(sys.stdin.buffer, work / "archive.tar", work, bounds)
    path = file.resolve(strict=True)
    if path.is_dir():
        return path
    if ":" in str(path) or not stat.S_ISREG(path.stat().st_mode):
        # skopeo takes what follows a colon for a name; and a pipe can be read but once.
        with path.open("rb") as stream:
            return _inflate(stream, work / "archive.tar", work, bounds)
    with path.open("rb") as stream:
        if stream.peek(4)[:4].startswith((_GZIP, _ZSTD, *_OTHERS)):
            return _inflate(stream, work / "archive.tar", work, bounds)
    return path


def _inflate(stream: IO[bytes], target: Path, work: Path, bounds: Bounds) -> Path:
    start = stream.peek(4)[:4]  # type: ignore[attr-defined]
    with target.open("wb") as out:
        if start.startswith(_ZSTD):
            with _zstd(stream) as plain:
                _copy(plain, out, bounds.size)
        elif other := next((program for begin, program in _OTHERS.items() if start.startswith(begin)), ""):
            how = f"{other} -dc FILE | wellhead image load -"
            raise ImageError(f"compressed by {other}: decompress it first ({how})")
        elif start.startswith(_GZIP):
            try:
                with gzip.open(stream) as plain:
                    _copy(plain, out, bounds.size)
            except (zlib.error, EOFError, gzip.BadGzipFile) as error:
                raise ImageError(f"damaged gzip: {error}") from None
        else:
            _copy(stream, out, bounds.size)
    return target


@contextmanager
def _zstd(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    if shutil.which("zstd") is None:
        raise ImageError("compressed by zstd, which is not installed: `apt-get install zstd`")
    if not _seekable(stream):
        raise ImageError("compressed by zstd: decompress it first (zstd -dc FILE | wellhead image load -)")
    os.lseek(stream.fileno(), 0, os.SEEK_SET)
    pipe = subprocess.PIPE
    with subprocess.Popen(["zstd", "-dcq"], stdin=stream, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        problem = process.stderr.read(2000).decode(errors="replace").strip()
        if process.wait():
            raise ImageError(f"zstd: {problem}")


def _seekable(stream: IO[bytes]) -> bool:
    with contextlib.suppress(OSError):
        return stream.seekable()
    return False


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _copy(source: _Readable, target: IO[bytes], limit: int) -> None:
    while data := source.read(_COPIED_AT_ONCE):
        limit -= len(data)
        if limit < 0:
            raise ImageError("larger than the bound; see --max-size")
        target.write(data)
