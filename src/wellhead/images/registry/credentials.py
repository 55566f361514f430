"""Registry credentials in Secrets, and which of them are for an image: as the kubelet finds them.

Source: pkg/credentialprovider/{config,keyring}.go and secrets/secrets.go of v1.36.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from wellhead.api.names import DOCKER_CONFIG, OLD_DOCKER_CONFIG
from wellhead.images import reference

_MODERN = DOCKER_CONFIG, ".dockerconfigjson"
_LEGACY = OLD_DOCKER_CONFIG, ".dockercfg"
_DEFAULT_REGISTRY = "index.docker.io"


@dataclass(frozen=True)
class Login:
    """A name and a password for a registry. The password is in no message."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r}, …)"


class BadCredentials(ValueError):
    """A Secret that should hold credentials doesn't; the message says why, and nothing of what it holds."""


class _Entry(msgspec.Struct):
    username: str = ""
    password: str = ""
    auth: str = ""


class _Modern(msgspec.Struct):
    auths: dict[str, _Entry | None] | None = None


Keyring = dict[str, tuple[Login, ...]]
"""By what they are for: a host, maybe with wildcards, a port and a path."""


def keyring(secrets: Iterable[dict[str, Any]]) -> Keyring:
    """What these Secrets hold; one of another type holds nothing.

    Raises:
        BadCredentials: one can't be read.
    """
    found: dict[str, dict[Login, None]] = {}
    for secret in secrets:
        for place, login in _entries(secret):
            found.setdefault(_key(place), {})[login] = None
    return {key: tuple(found[key]) for key in found}


def lookup(keys: Keyring, image: str) -> tuple[Login, ...]:
    """The logins to try for an image, those for the longest place first."""
    name = reference.repository(image)
    found = [login for key in sorted(keys, reverse=True) if _matches(key, name) for login in keys[key]]
    if not found and name.startswith("docker.io/"):
        found = list(keys.get(_DEFAULT_REGISTRY, ()))
    return tuple(dict.fromkeys(found))


def auth_file(image: str, login: Login) -> bytes:
    """What skopeo reads credentials for this image from (containers-auth.json(5))."""
    token = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    host = reference.repository(image).partition("/")[0]
    return msgspec.json.encode({"auths": {host: {"auth": token}}})


def _entries(secret: dict[str, Any]) -> Iterable[tuple[str, Login]]:
    name = (secret.get("metadata") or {}).get("name", "")
    for (kind, key), modern in ((_MODERN, True), (_LEGACY, False)):
        data = (secret.get("data") or {}).get(key)
        if secret.get("type") != kind or data is None:
            continue
        try:
            text = base64.b64decode(data, validate=True)
            entries = (
                msgspec.json.decode(text, type=_Modern).auths
                if modern
                else msgspec.json.decode(text, type=dict[str, _Entry | None])
            )
            for place, entry in (entries or {}).items():
                yield place, _login(entry or _Entry())
        except (ValueError, RecursionError):
            # Not the decoder's words: they may quote what it read.
            raise BadCredentials(f"Secret {name}: {key} can't be read") from None


def _login(entry: _Entry) -> Login:
    if not entry.auth:
        return Login(entry.username, entry.password)
    padded = entry.auth.rstrip("=") + "=" * (-len(entry.auth.rstrip("=")) % 4)
    try:
        username, colon, password = base64.b64decode(padded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError from None
    if not colon:
        raise ValueError
    return Login(username, password)


def _key(place: str) -> str:
    """`https://index.docker.io/v1/` → `index.docker.io`; a path stays if it is one of repositories."""
    url = place if place.startswith(("https://", "http://")) else f"https://{place}"
    parts = urlsplit(url)
    path = parts.path
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    return parts.netloc + ("" if path == "/" else path)


def _matches(key: str, name: str) -> bool:
    glob, _, glob_path = key.partition("/")
    host, _, path = name.partition("/")
    glob_host, glob_port = _split(glob)
    target_host, target_port = _split(host)
    parts, targets = glob_host.split("."), target_host.split(".")
    return (
        glob_port == target_port
        and len(parts) == len(targets)
        and f"/{path}".startswith(f"/{glob_path}" if "/" in key else "")
        and all(fnmatch.fnmatchcase(target, part) for part, target in zip(parts, targets, strict=True))
    )


def _split(host: str) -> tuple[str, str]:
    if host.startswith("["):
        inside, _, port = host.partition("]")
        return inside, port.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port
