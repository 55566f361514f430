"""Which addresses a registry may lead us to. Pure.

Whoever names an image names a host, and a registry may send us on to any other. Loopback is this machine's
own, link-local addresses are where clouds tell machines their secrets: neither is anybody's registry, unless
the administrator's configuration says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wellhead.images import reference
from wellhead.images.bounds import ImageError
from wellhead.ip import IPAddress

Place = tuple[str, int]
"""A host, in lower case and without brackets, and a port."""

_PORTS = (443, 80)


def refusal(address: IPAddress) -> str | None:
    """Why nobody is sent to this address; None if it may be a registry's."""
    plain = address.ipv4_mapped if address.version == 6 and address.ipv4_mapped is not None else address
    if plain.is_loopback or plain.is_unspecified:
        return f"{address} is this machine itself"
    if plain.is_link_local or plain.is_multicast:
        return f"{address} is a link-local or multicast address"
    return None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is the machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def of_image(name: str) -> frozenset[Place]:
    """Where an image's own registry listens."""
    return _places(reference.repository(name).partition("/")[0])


def configured(file: Path, directory: Path | None = None) -> frozenset[Place]:
    """The places that a registries.conf (containers-registries.conf(5)) and its directory name.

    Raises:
        ImageError: a file can't be read.
    """
    more = sorted(directory.glob("*.conf")) if directory is not None else []
    found: set[Place] = set()
    for each in (file, *more):
        try:
            found |= _named(tomllib.loads(each.read_text()))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ImageError(f"{each}: {error}") from None
    return frozenset(found)


def _named(content: dict[str, Any]) -> set[Place]:
    registries = content.get("registry")
    found: set[Place] = set()
    for registry in registries if isinstance(registries, list) else ():
        for each in (registry, *_tables(registry.get("mirror"))):
            location = each.get("location") or each.get("prefix")
            if isinstance(location, str):
                found |= _places(location.partition("/")[0])
    return found


def _tables(value: object) -> Iterable[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _places(host: str) -> frozenset[Place]:
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    ports = (int(port),) if port.isascii() and port.isdigit() and int(port) < 65536 else _PORTS
    return frozenset((name.lower(), each) for each in ports)
