"""Makes `fields.txt`: the Protobuf messages of the served kinds, from the sources of Kubernetes' Go types.

    python -m wellhead.apiserver.protobuf.generate STAGING > fields.txt

STAGING is the folder `staging/src` of a Kubernetes source tree (or one that holds the published modules
k8s.io/{api,apimachinery,apiextensions-apiserver,kube-aggregator}). A field of a Go struct says in its tag how
it is encoded; its type says what Protobuf's own description leaves out: whether a zero was sent, or is only
the zero value of Go.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from wellhead.api.resources import RESOURCES

_META = "k8s.io/apimachinery/pkg/apis/meta/v1"
_APIEXTENSIONS = "k8s.io/apiextensions-apiserver/pkg/apis"
_APIREGISTRATION = "k8s.io/kube-aggregator/pkg/apis"
_HOMES = {"apiextensions.k8s.io": _APIEXTENSIONS, "apiregistration.k8s.io": _APIREGISTRATION}
"""Of the groups whose types aren't in k8s.io/api."""
_SPECIAL = {
    f"{_META}.Time": "time",
    f"{_META}.MicroTime": "microtime",
    f"{_META}.FieldsV1": "raw",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "raw",
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intorstring",
    f"{_APIEXTENSIONS}/apiextensions/v1.JSON": "raw",
    f"{_APIEXTENSIONS}/apiextensions/v1.JSONSchemaPropsOrArray": "schemas",
    f"{_APIEXTENSIONS}/apiextensions/v1.JSONSchemaPropsOrBool": "schemaorbool",
    f"{_APIEXTENSIONS}/apiextensions/v1.JSONSchemaPropsOrStringArray": "schemaorstrings",
}
_SCALARS = {
    "bool": "bool",
    "string": "string",
    "float64": "float",
    "byte": "byte",
    **dict.fromkeys(("int", "int32", "int64", "uint32", "uint64"), "int"),
}
_OTHER_ROOTS = (
    *(
        f"{_META}.{kind}"
        for kind in ("DeleteOptions", "ListMeta", "PartialObjectMetadata", "Status", "WatchEvent")
    ),
    *(f"{_META}.{kind}" for kind in ("APIGroupList", "APIResourceList", "APIVersions")),
    "k8s.io/api/core/v1.Binding",
    "k8s.io/api/policy/v1.Eviction",
    "k8s.io/api/autoscaling/v1.Scale",
    "k8s.io/api/authentication/v1.TokenRequest",
)

_MADE = re.compile(r"_test\.go|generated")
_IMPORT = re.compile(r'^\s*(?:import )?(\w+ )?"(k8s\.io/[^"]+)"$', re.M)
_STRUCT = re.compile(r"^type (\w+) struct ?\{(?:\n(.*?)^)?\}", re.M | re.S)
_NAMED = re.compile(r"^(?:type |\t)(\w+) =? ?((?:\[\]|\*|map\[\w+\])*[\w.]+)$", re.M)
_FIELD = re.compile(r"^\t(?:\w+ +)?((?:\[\]|\*|map\[\w+\])*[\w.]+) +`([^`]*)`", re.M)
_NUMBER = re.compile(r'protobuf:"\w+,(\d+),')
_JSON = re.compile(r'json:"([^",]*)([^"]*)"')


class Package(NamedTuple):
    """What a Go package declares: structs with their bodies, names of other types, and what it imports."""

    structs: dict[str, str]
    named: dict[str, str]
    imports: dict[str, str]


class Messages:
    """The messages that some roots reach, as the lines of `fields.txt`."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._lines: dict[str, str] = {}
        self._package = cache(self._read)

    def add(self, name: str) -> None:
        """Of a type and all that it reaches. Raises KeyError: the sources don't have it."""
        short = _short(name)
        if short in self._lines:
            return
        self._lines[short] = ""
        path, _, type_name = name.rpartition(".")
        found = _FIELD.findall(self._package(path).structs[type_name])
        fields = [self._field(go_type, tag, path) for go_type, tag in found]
        self._lines[short] = " ".join([short, *filter(None, fields)])

    def text(self) -> str:
        return "".join(f"{line}\n" for _, line in sorted(self._lines.items()))

    def _read(self, path: str) -> Package:
        sources = sorted((self._staging / path).glob("*.go"))
        text = "\n".join(each.read_text() for each in sources if not _MADE.search(each.name))
        imports = {(alias or Path(to).name).strip(): to for alias, to in _IMPORT.findall(text)}
        return Package(dict(_STRUCT.findall(text)), dict(_NAMED.findall(text)), imports)

    def _field(self, go_type: str, tag: str, path: str) -> str:
        number, json = _NUMBER.search(tag), _JSON.search(tag)
        if number is None or json is None or json[1] == "-":
            return ""
        pointer = "*" if go_type.startswith("*") else ""
        inline = not json[1] and "inline" in json[2]
        return (
            f"{number[1]}:{'' if inline else json[1]}:{pointer}{self._type(go_type.removeprefix('*'), path)}"
        )

    def _type(self, go_type: str, path: str, *, is_named: bool = False) -> str:
        if go_type.startswith("map["):
            return "{}" + self._type(go_type.partition("]")[2], path)
        if go_type.startswith("[]"):
            element = self._type(go_type[2:], path)
            if element == "byte":
                return "bytes"
            # A named slice of strings is a message of its own, with the strings as field 1.
            return "items" if is_named and element == "string" else f"[]{element}"
        if go_type.startswith("*"):
            return self._type(go_type[1:], path)
        if go_type in _SCALARS:
            return _SCALARS[go_type]
        package, _, name = go_type.rpartition(".")
        home = self._package(path).imports[package] if package else path
        if (full := f"{home}.{name}") in _SPECIAL:
            return _SPECIAL[full]
        if name in self._package(home).structs:
            self.add(full)
            return _short(full)
        return self._type(self._package(home).named[name], home, is_named=True)


def _short(name: str) -> str:
    """`k8s.io/api/apps/v1.Deployment` → `apps/v1.Deployment`."""
    for home in (
        "k8s.io/api/",
        "k8s.io/apimachinery/pkg/apis/",
        f"{_APIEXTENSIONS}/",
        f"{_APIREGISTRATION}/",
    ):
        name = name.removeprefix(home)
    return name


def main() -> None:
    messages = Messages(Path(sys.argv[1]))
    for resource in RESOURCES:
        package = resource.group.partition(".")[0] or "core"
        home = _HOMES.get(resource.group, "k8s.io/api")
        messages.add(f"{home}/{package}/{resource.version}.{resource.kind}")
    for name in _OTHER_ROOTS:
        messages.add(name)
    sys.stdout.write(messages.text())


if __name__ == "__main__":
    main()
