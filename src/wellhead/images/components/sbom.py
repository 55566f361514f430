"""What is in an image, for scanners: a software bill of materials, CycloneDX 1.6 in JSON.

Equal contents make equal bytes: its time is the image's, its serial number is made of what it lists.

Source: ECMA-424 (CycloneDX); the package-url specification, types deb and pypi.
"""

from __future__ import annotations

import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from wellhead.images.components.debian import Package

_LICENCE = re.compile(r"^License:[ \t]*(\S[^\n]*)$", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "
_NOT_SAID = ("", "UNKNOWN")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.wellhead.dev")


@dataclass(frozen=True)
class Part:
    """A package in an image. `licences` are as its own files call them."""

    name: str
    version: str
    purl: PackageURL
    licences: tuple[str, ...] = ()
    sha256: str = ""


def of_debian(package: Package, copyright_text: str, release: Mapping[str, str]) -> Part:
    """A Debian package in an image of that os-release.

    Only copyright files that machines can read (DEP 5) name licences in a way that can be told here.
    """
    distribution = release.get("ID", "debian")
    qualifiers = {"arch": package.architecture}
    if version := release.get("VERSION_ID"):
        qualifiers["distro"] = f"{distribution}-{version}"
    readable = copyright_text.lstrip().startswith("Format")
    licences = sorted({each.strip() for each in _LICENCE.findall(copyright_text)}) if readable else ()
    purl = PackageURL("deb", distribution, package.name, package.version, qualifiers)
    return Part(package.name, package.version, purl, tuple(licences))


def of_wheel(wheel: Path) -> Part:
    """A wheel, by its own metadata. Raises OSError, ValueError: it is none."""
    with zipfile.ZipFile(wheel) as archive:
        [about] = (each for each in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        said = message_from_bytes(archive.read(about))
    licence = str(said["License-Expression"] or said["License"] or "").strip()
    licences: tuple[str, ...] = (licence,)
    if licence in _NOT_SAID or "\n" in licence:  # a whole text
        found = (str(each) for each in said.get_all("Classifier", ()))
        licences = tuple(each.removeprefix(_CLASSIFIER) for each in found if each.startswith(_CLASSIFIER))
    part = of_python(str(said["Name"]), str(said["Version"]), licences)
    return Part(part.name, part.version, part.purl, part.licences, sha256(wheel.read_bytes()).hexdigest())


def of_python(name: str, version: str, licences: tuple[str, ...]) -> Part:
    """A Python package."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    return Part(plain, version, PackageURL("pypi", None, plain, version), licences)


def write(name: str, version: str, parts: Iterable[Part], time: int) -> bytes:
    """The document on an image of that name. `time` is in seconds since 1970."""
    listed = sorted(parts, key=lambda each: str(each.purl))
    image = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"{name}@{version}")
    content = "\n".join([name, version, *(f"{each.purl} {each.sha256}" for each in listed)])
    bom = Bom(
        components=[_component(each) for each in listed],
        serial_number=uuid.uuid5(_NAMESPACE, content),
        metadata=BomMetaData(component=image, timestamp=datetime.fromtimestamp(time, UTC)),
    )
    bom.register_dependency(image, bom.components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    return f"{text}\n".encode()


def _component(part: Part) -> Component:
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(part.purl),
        purl=part.purl,
        licenses=_licences(part.licences),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else (),
    )


def _licences(names: tuple[str, ...]) -> list[License]:
    """By SPDX's names where they are such. An expression stands alone, or as a name."""
    factory = LicenseFactory()
    found = [factory.make_from_string(each) for each in names]
    if len(found) == 1:
        return found
    return [
        factory.make_with_name(each.value) if isinstance(each, LicenseExpression) else each for each in found
    ]
