"""Which files the sources of a volume become.

Source: Kubernetes' "Volumes" and "Projected Volumes", pkg/volume/{configmap,secret,downwardapi,projected}.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from wellhead.api.meta import Obj
from wellhead.node import downward
from wellhead.node.references import Reference
from wellhead.node.volumes.atomic import File

_DEFAULT_MODE = 0o644
_DEFAULT_TOKEN_SECONDS = 3600

_KINDS = ("projected", "configMap", "secret", "downwardAPI")
_SOURCES = {"configMap": ("ConfigMap", "name"), "secret": ("Secret", "secretName")}
_MISSING_KEYS = {
    "configMap": "configmap references non-existent config key",
    "secret": "references non-existent secret key",
}


class VolumeError(Exception):
    """A volume that can't be made (now): a missing object or key, or an unsupported kind of volume."""


@dataclass(frozen=True)
class Token:
    """A service-account token that a volume asks for. `seconds` is how long it shall live."""

    audience: str
    seconds: int


@dataclass(frozen=True)
class Surroundings:
    """What sources are made from: the pod, objects that it refers to, tokens, what the node can give."""

    pod: Obj
    get: Callable[[Reference], Awaitable[Obj | None]]
    token: Callable[[Token], Awaitable[str]]
    allocatable: Mapping[str, str]


@dataclass(frozen=True)
class _Default:
    """What holds for a file unless its item says otherwise."""

    mode: int
    user: int | None

    def file(self, data: bytes, item: Obj) -> File:
        mode, user = item.get("mode"), item.get("user")
        return File(data, self.mode if mode is None else int(mode), self.user if user is None else int(user))


def sources(volume: Obj) -> list[tuple[str, Obj]]:
    """(kind, source) of everything that a volume of files consists of; empty for other volumes."""
    if "projected" in volume:
        return [(kind, one[kind]) for one in volume["projected"].get("sources") or () for kind in one]
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            source = dict(volume[kind] or {})
            if kind == "secret":
                source["name"] = source.get("secretName", "")
            return [(kind, source)]
    return []


def references(pod: Obj, volumes: Iterable[Obj]) -> set[Reference]:
    """The ConfigMaps and Secrets that these volumes show."""
    return {
        Reference(_SOURCES[kind][0], pod["metadata"]["namespace"], source["name"])
        for volume in volumes
        for kind, source in sources(volume)
        if kind in _SOURCES
    }


async def files(volume: Obj, surroundings: Surroundings) -> dict[str, File]:
    """The files of a configMap, secret, downwardAPI or projected volume. Raises VolumeError."""
    source: Obj = next((volume[kind] for kind in _KINDS if volume.get(kind)), {})
    default = _Default(int(source.get("defaultMode") or _DEFAULT_MODE), source.get("defaultUser"))
    found: dict[str, File] = {}
    for kind, one in sources(volume):
        if kind in _SOURCES:
            found |= await _object_files(kind, one, default, surroundings)
        elif kind == "downwardAPI":
            found |= _downward_files(one, default, surroundings)
        elif kind == "serviceAccountToken":
            seconds = int(one.get("expirationSeconds") or _DEFAULT_TOKEN_SECONDS)
            token = await surroundings.token(Token(one.get("audience") or "", seconds))
            # For everybody's eyes if a container's user isn't root, as the kubelet has it.
            found[one["path"]] = default.file(token.encode(), {**one, "mode": _DEFAULT_MODE})
        else:
            raise VolumeError(f"projected source {kind} is not supported")
    return found


async def _object_files(
    kind: str, source: Obj, default: _Default, surroundings: Surroundings
) -> dict[str, File]:
    namespace = surroundings.pod["metadata"]["namespace"]
    reference = Reference(_SOURCES[kind][0], namespace, source["name"])
    obj = await surroundings.get(reference)
    if obj is None:
        if source.get("optional"):
            return {}
        raise VolumeError(f'{reference.kind.lower()} "{reference.name}" not found')
    data = payload(obj)
    items = source.get("items")
    if not items:
        return {name: default.file(value, {}) for name, value in data.items()}
    chosen = {}
    for item in items:
        if item["key"] in data:
            chosen[item["path"]] = default.file(data[item["key"]], item)
        elif not source.get("optional"):
            raise VolumeError(f"{_MISSING_KEYS[kind]}: {item['key']}")
    return chosen


def payload(obj: Obj) -> dict[str, bytes]:
    """What a ConfigMap or a Secret holds, as bytes."""
    text, encoded = (obj.get("data") or {}), (obj.get("binaryData") or {})
    if obj["kind"] == "Secret":
        text, encoded = {}, text
    return {name: value.encode() for name, value in text.items()} | {
        name: base64.b64decode(value) for name, value in encoded.items()
    }


def _downward_files(source: Obj, default: _Default, surroundings: Surroundings) -> dict[str, File]:
    found = {}
    pod = surroundings.pod
    for item in source.get("items") or ():
        try:
            if "fieldRef" in item:
                text = downward.field(pod, item["fieldRef"]["fieldPath"])
            else:
                reference = item["resourceFieldRef"]
                name = reference.get("containerName")
                container: Obj = next((c for c in pod["spec"]["containers"] if c["name"] == name), {})
                text = downward.resource(pod, container, reference, surroundings.allocatable)
        except downward.FieldError as error:
            raise VolumeError(str(error)) from None
        found[item["path"]] = default.file(text.encode(), item)
    return found
