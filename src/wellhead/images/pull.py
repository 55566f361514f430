"""Pulling: from a registry to an image of the store.

skopeo talks to the registry, through a gate that is its only network (`registry/gate.py`), with credentials
in a file that is in memory alone; what it brings is treated as `load.py` treats an archive. Manifests come
first: an image that is here already is only given its names.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wellhead.images import archive, placing, programs, reference, unpacking
from wellhead.images.access import Pulled
from wellhead.images.archive import Descriptor, Manifest
from wellhead.images.bounds import DEFAULT, Bounds, ImageError
from wellhead.images.load import Report, reserved
from wellhead.images.programs import Network, Stop
from wellhead.images.registry import credentials, gate, places
from wellhead.images.registry.credentials import Login
from wellhead.images.registry.gate import Gate, Limits
from wellhead.images.registry.places import Place
from wellhead.images.store import Image, ImageStore
from wellhead.text import printable

REGISTRIES = Path("/etc/containers/registries.conf")
"""Where skopeo, podman and others look for mirrors, and for registries that speak plain HTTP."""
_MORE_REGISTRIES = Path("/etc/containers/registries.conf.d")  # skopeo reads it as well, whichever the other


_NOISE = re.compile(r'^.*"docker://[^" ]*": ')  # skopeo's "Error parsing image name", whatever it was


@dataclass(frozen=True)
class Options:
    """How to pull.

    `registries` is a containers-registries.conf(5). Of the registries
    on this machine's own loopback only those that it names are asked, and the image's own if `trusted`, as
    when a person asked for it by that name. `plain_http`: speak HTTP with a registry that has no TLS.
    `patience` is after how many seconds of next to nothing to give up.
    """

    registries: Path = REGISTRIES
    trusted: bool = False
    plain_http: bool = False
    bounds: Bounds = DEFAULT
    patience: float = 120.0


@dataclass
class _Pull:
    store: ImageStore
    name: str
    options: Options
    gate: Gate
    stop: Stop
    login: Login | None
    work: Path
    report: Callable[[str, int, int], None]
    expected: int = 0
    documents: dict[str, bytes] = field(default_factory=dict)


def pull(
    store: ImageStore,
    name: str,
    logins: Sequence[Login] = (),
    options: Options | None = None,
    *,
    stop: Stop | None = None,
    report: Report = lambda what, done, total: None,
) -> Image:
    """Have the image of this name as the registry has it now. Blocks.

    Of `logins` one after the other is tried; without any, nobody's. `stop` ends it early.

    Raises:
        ImageError: it can't be had; the message says why and, where something helps, what.
    """
    options = options or Options()
    if problem := reference.problem(name) or reserved(name):
        raise ImageError(f"{name!r}: {problem}")
    full = reference.normalize(name)
    if "/" not in full:
        raise ImageError(f"{name!r}: an image can't be pulled by its ID")
    problems = []
    for login in logins or (None,):
        try:
            return _pull(store, full, login, options, stop or Stop(), report)
        except ImageError as error:
            problems.append(str(error))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ImageError(programs.full(store.directory / ".")) from None
            raise ImageError(f"{error.filename or full}: {error.strerror or error}") from None
    raise ImageError("; ".join(dict.fromkeys(problems)))


def _pull(
    store: ImageStore, name: str, login: Login | None, options: Options, stop: Stop, report: Report
) -> Image:
    allowed = _allowed(name, options)
    own = places.of_image(name)
    if not own & allowed and any(places.is_loopback(host) for host, _ in own):
        raise ImageError(
            f"{name.partition('/')[0]} is this machine itself: a registry there is asked only if "
            f"{options.registries} names it"
        )
    bounds = options.bounds
    current: list[_Pull] = []

    def moved(received: int) -> None:
        if current and current[0].expected:
            report(
                f"{name}: {received / 1e6:.0f} MB", min(received, current[0].expected), current[0].expected
            )

    limits = Limits(bounds.size + (64 << 20), options.patience)
    with placing.downloading(store) as work, gate.opened(limits, allowed, moved) as way:
        one = _Pull(store, name, options, way, stop, login, work, report)
        current.append(one)
        try:
            return _fetch(one)
        except ImageError as error:
            raise ImageError(_explained(one, str(error))) from None


def _allowed(name: str, options: Options) -> frozenset[Place]:
    found = places.configured(options.registries, _MORE_REGISTRIES)
    return found | places.of_image(name) if options.trusted else found


def _fetch(one: _Pull) -> Image:
    one.report(f"{one.name}: asking", 0, 0)
    repository = reference.repository(one.name)
    top = _inspect(one, one.name)
    if "@" in one.name and one.name.rpartition("@")[2] != _digest(top, one.name.rpartition("@")[2]):
        raise ImageError("the registry sent something with another digest")
    first = Descriptor(digest=_digest(top), size=len(top))
    one.documents[first.digest] = top

    def read(entry: Descriptor) -> bytes:
        digest = archive.check_digest(entry.digest)
        if digest not in one.documents:
            one.documents[digest] = data = _inspect(one, f"{repository}@{digest}")
            if _digest(data, digest) != digest:
                raise ImageError("the registry sent something with another digest")
        return one.documents[digest]

    chain = archive.chosen([first], read)
    manifest = archive.decode(read(chain[-1]), Manifest, "its manifest")
    image_id = archive.check_digest(manifest.config.digest)
    names = tuple(dict.fromkeys((one.name, *(f"{repository}@{each.digest}" for each in chain))))
    # What a person fetched is for everybody.
    pulled = None if one.options.trusted else Pulled(one.login)
    with placing.changing(one.store):
        if (known := unpacking.known(one.store, image_id, names, pulled)) is not None:
            return known
    one.expected = sum(max(each.size, 0) for each in manifest.layers) + max(manifest.config.size, 0)
    if one.expected > one.options.bounds.size:
        raise ImageError(f"its layers have {one.expected} bytes, more than the bound; see --max-size")
    one.report(f"{one.name}: copying", 0, one.expected)
    layout = one.work / "layout"
    copy = ("copy", "--quiet", "--dest-compress-format", "gzip")
    source = f"docker://{repository}@{chain[-1].digest}"
    _skopeo(one, *copy, *_connection(one, "src-"), source, f"oci:{layout}:image")
    unpacked = unpacking.unpack(
        layout, one.work, one.options.bounds, lambda what: one.report(f"{one.name}: {what}", 0, 0)
    )
    if unpacked.id != image_id:
        raise ImageError("the registry sent something with another digest")
    one.stop.check()
    one.report(f"{one.name}: sharing files", 0, 0)
    with placing.changing(one.store):
        return unpacking.known(one.store, image_id, names, pulled) or unpacking.settle(
            one.store, unpacked, image_id, names, pulled
        )


def _inspect(one: _Pull, name: str) -> bytes:
    return _skopeo(one, "inspect", "--raw", *_connection(one, ""), f"docker://{name}")


def _connection(one: _Pull, prefix: str) -> tuple[str, ...]:
    return (f"--{prefix}tls-verify=false",) if one.options.plain_http else ()


def _skopeo(one: _Pull, *arguments: str) -> bytes:
    # Who signed an image is looked at by nobody here.
    options = ["--insecure-policy", "--override-os", "linux", "--override-arch", archive.architecture()]
    options += (
        ["--registries-conf", str(one.options.registries)] if one.options.registries != REGISTRIES else []
    )
    command, *rest = arguments
    with _auth_file(one) as descriptor:
        passed: tuple[int, ...] = ()
        if descriptor is not None:
            passed = (descriptor,)
            rest = ["--authfile", f"/proc/self/fd/{descriptor}", *rest]
        network = Network(one.gate.network, one.gate.proxy, one.stop, passed)
        return programs.run(
            one.work, one.options.bounds.size, "skopeo", *options, command, *rest, network=network
        )


@contextmanager
def _auth_file(one: _Pull) -> Iterator[int | None]:
    """Credentials as a file that is on no disk and in no directory."""
    if one.login is None:
        yield None
        return
    descriptor = os.memfd_create("auth", 0)
    try:
        os.write(descriptor, credentials.auth_file(one.name, one.login))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _digest(data: bytes, like: str = "sha256:") -> str:
    kind = like.partition(":")[0]
    return f"{kind}:{hashlib.new(kind, data).hexdigest()}"


def _explained(one: _Pull, error: str) -> str:
    """What a person can do something with: the end of skopeo's words, or why the gate was shut."""
    if one.gate.problem:
        return one.gate.problem
    text = _NOISE.sub("", printable(error.removeprefix("skopeo: ")))
    if one.gate.refused and one.gate.refused.partition(": ")[2] not in text:
        return f"{text} ({one.gate.refused})"
    lowered = text.lower()
    if "server gave http response to https client" in lowered:
        return (
            f"{text}: if that is right, say so (`insecure = true` for it in {one.options.registries}, "
            "or `wellhead image pull --plain-http`)"
        )
    if "unauthorized" in lowered or "authentication required" in lowered or "denied" in lowered:
        what = "the credentials that were given don't do" if one.login else "no credentials were given"
        return f"{text}: {what} (a pod's are in the Secrets that its imagePullSecrets name)"
    if "manifest unknown" in lowered or "name unknown" in lowered or "not found" in lowered:
        return f"{text}: is the name right?"
    if "no such host" in lowered or "network is unreachable" in lowered:
        return f"{text}: without a network, `wellhead image load` takes an archive"
    return text
