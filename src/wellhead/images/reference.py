"""Image names: the short ones that people type mean the long ones.

Source: github.com/distribution/reference, "normalized named": a first part without a dot, colon or
"localhost" is no registry; docker.io and library/ and :latest are what is left out.
"""

from __future__ import annotations

import re

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}"
_FULL = re.compile(rf"{_HOST}/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)(?::{_TAG}|@(?:{_DIGEST}))", re.ASCII)
_ID = re.compile(r"sha256:[a-f0-9]{64}")
_LONGEST = 255  # characters without tag and digest


def normalize(name: str) -> str:
    """The full form of an image name: `busybox` → `docker.io/library/busybox:latest`.

    With a digest, a tag says nothing and is left out. An image's ID is its own full form.
    """
    if _ID.fullmatch(name):
        return name
    rest, _, digest = name.partition("@")
    head, slash, tail = rest.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost" or head != head.lower()):
        head, tail = "docker.io", rest
    if head == "index.docker.io":
        head = "docker.io"
    if head == "docker.io" and "/" not in tail:
        tail = f"library/{tail}"
    if digest:
        return f"{head}/{tail.partition(':')[0]}@{digest}"
    if ":" not in tail:
        tail += ":latest"
    return f"{head}/{tail}"


def problem(name: str) -> str | None:
    """Why something is no image name; None if it is one (a short one, a full one, or an ID)."""
    full = normalize(name)
    if _ID.fullmatch(full):
        return None
    if not _FULL.fullmatch(full):
        if name != name.lower() and _FULL.fullmatch(normalize(name.lower())):
            return "invalid reference format: repository name must be lowercase"
        return "invalid reference format"
    if len(repository(name)) > _LONGEST:
        return f"invalid reference format: repository name must not be more than {_LONGEST} characters"
    return None


def repository(name: str) -> str:
    """The full form without tag and digest."""
    rest = normalize(name).partition("@")[0]
    head, _, tail = rest.partition("/")
    return f"{head}/{tail.partition(':')[0]}"


def has_latest_tag(name: str) -> bool:
    """Whether the image is pulled each time by default (no tag, or `latest`)."""
    return normalize(name).endswith(":latest")
