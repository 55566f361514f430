"""Replacing names and addresses in objects, consistently, so that the answers stay the same.

Names become words of the same kind (`service-3`), addresses others of the same relations: what was inside
of a network stays inside of the network's replacement, and host numbers within a network keep their order
and distance (a gateway stays the first address). What Kubernetes, a program or a cloud gives a meaning to
is kept: kinds, keys of labels and annotations that are theirs, names of their ConfigMaps, DaemonSets,
images and namespaces.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from wellhead.snapshot.kinds import CONFIG_MAPS

_KEPT_KINDS = frozenset(
    {
        "DaemonSet",
        "Deployment",
        "StatefulSet",
        "ConfigMap",
        "IngressClass",
        "GatewayClass",
        "FelixConfiguration",
        "BGPConfiguration",
    }
)
_KEPT_NAMES = frozenset(
    {*CONFIG_MAPS, *CONFIG_MAPS.values(), "default", "kube-system", "kubernetes", "None", "true", "false"}
)
_DROPPED = ("uid", "resourceVersion", "generation", "ownerReferences", "selfLink")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]|-\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:.])")


class Anonymiser:
    """One snapshot's replacements."""

    def __init__(self, objects: Iterable[dict[str, Any]], salt: str) -> None:
        """`salt` makes the replacements other than anybody else's."""
        self._objects = list(objects)
        self._salt = salt.encode()
        self._names: dict[str, str] = {}
        self._collect()

    def objects(self) -> list[dict[str, Any]]:
        """The objects with everything replaced."""
        return [self._object(each) for each in self._objects]

    def _collect(self) -> None:
        counts: dict[str, int] = {}
        for obj in self._objects:
            kind, metadata = str(obj.get("kind") or "object"), obj.get("metadata") or {}
            for title, name in ((kind, metadata.get("name")), ("Namespace", metadata.get("namespace"))):
                if not isinstance(name, str) or name in self._names or name in _KEPT_NAMES:
                    continue
                if title in _KEPT_KINDS or (title == "Namespace" and name.startswith("kube-")):
                    continue
                counts[title] = counts.get(title, 0) + 1
                self._names[name] = f"{title.lower()}-{counts[title]}"
        names = sorted(map(re.escape, self._names), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-])") if names else None

    def _object(self, obj: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _DROPPED}
        found: dict[str, Any] = self._value({**obj, "metadata": metadata}, "")
        return found

    def _value(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {self._key(name, key): self._value(each, str(name)) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, key) for each in value]
        if not isinstance(value, str):
            return value
        if key in ("kind", "apiVersion", "image", "kubeletVersion", "kubeProxyVersion", "providerID"):
            return (
                value.rpartition("/")[2]
                if key == "image"
                else self._provider(value)
                if key == "providerID"
                else value
            )
        return self.text(value)

    def _key(self, name: Any, parent: str) -> Any:
        """Keys of labels and selectors that are the owner's words stay: they say nothing of anybody."""
        return name

    def _provider(self, value: str) -> str:
        return value.partition("://")[0] + "://anonymous"

    def text(self, value: str) -> str:
        """A text with its names and addresses replaced."""
        value = _IPV4.sub(lambda found: self._address(found[0]), value)
        value = _IPV6.sub(lambda found: self._address(found[0]), value)
        if self._pattern is None:
            return value
        return self._pattern.sub(lambda found: self._names[found[0]], value)

    def _address(self, text: str) -> str:
        try:
            address = ip_address(text)
        except ValueError:
            return text
        if address.is_unspecified or address.is_loopback or address.is_multicast:
            return text
        return str(self._scrambled(address))

    def _scrambled(self, address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """Another address with the same prefix relations: bit by bit, by what comes before (Crypto-PAn's
        idea).

        Private ranges stay private and public addresses public, since clouds and agents tell them apart;
        the last byte stays, so that gateways stay gateways."""
        width, value = address.max_prefixlen, int(address)
        fixed = _kept_bits(address)
        result = 0
        for index in range(width):
            bit = (value >> (width - 1 - index)) & 1
            if fixed <= index < width - 8:
                prefix = value >> (width - index)
                seed = self._salt + index.to_bytes(2, "big") + prefix.to_bytes(17, "big")
                bit ^= hashlib.blake2s(seed).digest()[0] & 1
            result = result << 1 | bit
        return type(address)(result)


def _kept_bits(address: IPv4Address | IPv6Address) -> int:
    """How many leading bits say of which range an address is."""
    if address.version == 6:
        return 16
    first, second = address.packed[0], address.packed[1]
    if first == 10:
        return 8
    if first == 172 and 16 <= second < 32:
        return 12
    if (first, second) in ((192, 168), (169, 254)):
        return 16
    if first == 100 and 64 <= second < 128:
        return 10
    return 8
