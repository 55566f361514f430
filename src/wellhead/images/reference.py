"""Image names: the short ones that people type mean the long ones.

Source: github.com/distribution/reference, "normalized named": a first part without a dot, colon or
"localhost" is no registry; docker.io and library/ and :latest are what is left out.
"""

from __future__ import annotations


def normalize(name: str) -> str:
    """The full form of an image name: `busybox` → `docker.io/library/busybox:latest`."""
    rest, _, digest = name.partition("@")
    head, slash, tail = rest.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        head, tail = "docker.io", rest
    if head == "index.docker.io":
        head = "docker.io"
    if head == "docker.io" and "/" not in tail:
        tail = f"library/{tail}"
    if digest:
        return f"{head}/{tail}@{digest}"
    if ":" not in tail:
        tail += ":latest"
    return f"{head}/{tail}"


def has_latest_tag(name: str) -> bool:
    """Whether the image is pulled each time by default (no tag, or `latest`)."""
    return normalize(name).endswith(":latest")
