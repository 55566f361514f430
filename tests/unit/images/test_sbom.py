"""Bills of materials: what scanners look for, in equal bytes, as CycloneDX's own schema has it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from wellhead.images.components import sbom
from wellhead.images.components.debian import Package
from wellhead.images.components.sbom import Part

RELEASE = {"ID": "debian", "VERSION_ID": "12"}
BIRD = Package("bird2", "2.0.12-7+b1", "amd64", "bird2", "")
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+

Files: debian/*
License: MIT
 Permission is hereby granted
"""


def wheel(directory: Path, *headers: str) -> Path:
    file = directory / "some_thing-1.5-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        lines = ["Metadata-Version: 2.4", "Name: Some_Thing", "Version: 1.5", *headers, "", "License: a text"]
        archive.writestr("some_thing-1.5.dist-info/METADATA", "\n".join(lines))
    return file


def components(*parts: Part) -> dict[str, dict[str, Any]]:
    told = json.loads(sbom.write("wellhead-x", "1", parts, 0))
    return {each["name"]: each for each in told["components"]}


def licences(part: Part) -> list[str]:
    [found] = components(part).values()
    named = [each.get("license", each) for each in found.get("licenses", ())]
    return [each.get("id") or each.get("name") or each["expression"] for each in named]


def test_a_debian_package_is_found_by_its_purl_and_told_with_its_licences() -> None:
    part = sbom.of_debian(BIRD, COPYRIGHT, RELEASE)
    told = components(part)["bird2"]
    assert told["purl"] == "pkg:deb/debian/bird2@2.0.12-7%2Bb1?arch=amd64&distro=debian-12"
    assert told["version"] == "2.0.12-7+b1"
    assert licences(part) == ["MIT", "GPL-2+"]


def test_of_a_copyright_file_for_people_no_licence_is_guessed() -> None:
    assert licences(sbom.of_debian(BIRD, "This is free software.\nLicense: see below", RELEASE)) == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["License-Expression: MIT"], ["MIT"]),
        (["License-Expression: Apache-2.0 AND MIT"], ["Apache-2.0 AND MIT"]),
        (["License: Apache 2.0"], ["Apache 2.0"]),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"], ["MIT License"]),
        (["License: Copyright (c)", "        All rights reserved"], []),
        ([], []),
    ],
)
def test_a_wheel_is_told_with_the_licence_of_its_metadata(
    tmp_path: Path, headers: list[str], expected: list[str]
) -> None:
    part = sbom.of_wheel(wheel(tmp_path, *headers))
    assert licences(part) == expected
    told = components(part)["some-thing"]
    assert told["purl"] == "pkg:pypi/some-thing@1.5"
    assert [each["alg"] for each in told["hashes"]] == ["SHA-256"]


def test_equal_contents_make_equal_bytes_and_others_another_number() -> None:
    one, other = sbom.of_python("a", "1", ("MIT",)), sbom.of_debian(BIRD, COPYRIGHT, RELEASE)
    written = sbom.write("wellhead-x", "1", [one, other], 0)
    assert sbom.write("wellhead-x", "1", [other, one], 0) == written
    told, different = json.loads(written), json.loads(sbom.write("wellhead-x", "1", [one], 0))
    assert told["metadata"]["timestamp"] == "1970-01-01T00:00:00+00:00"
    assert told["serialNumber"] != different["serialNumber"]
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["component"]["name"] == "wellhead-x"
