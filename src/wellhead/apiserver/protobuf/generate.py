"""Makes `fields.txt`: the Protobuf messages of the served kinds, from the Go types inside a kubectl binary.

    python -m wellhead.apiserver.protobuf.generate .venv/bin/kubectl > fields.txt

A Go binary carries the types that reflection may ask for, struct tags included, and Kubernetes' types say in
their tags how they are encoded. The layouts are those of Go's internal/abi (type.go), 64-bit little-endian,
for a binary that isn't position-independent.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wellhead.api.resources import RESOURCES

_META = "k8s.io/apimachinery/pkg/apis/meta/v1"
_SPECIAL = {
    f"{_META}.Time": "time",
    f"{_META}.MicroTime": "microtime",
    f"{_META}.FieldsV1": "raw",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "raw",
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "quantity",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "intorstring",
}
_OTHER_ROOTS = (
    f"{_META}.DeleteOptions",
    "k8s.io/api/core/v1.Binding",
    "k8s.io/api/policy/v1.Eviction",
    "k8s.io/api/autoscaling/v1.Scale",
    "k8s.io/api/authentication/v1.TokenRequest",
)
_POINTER, _SLICE, _STRING, _STRUCT, _MAP = 22, 23, 24, 25, 21
_SCALARS = {
    1: "bool",
    2: "int",
    5: "int",
    6: "int",
    10: "int",
    11: "int",
    13: "float",
    14: "float",
    24: "string",
}
_UINT8 = 8
_UNCOMMON, _EXTRA_STAR = 1, 2  # tflag
_TYPE_SIZE = 48
_ARRAY, _CHAN, _FUNC, _INTERFACE = 17, 18, 19, 20
_SIZES = {_STRUCT: 80, _POINTER: 56, _SLICE: 56, _MAP: 112, _ARRAY: 72, _CHAN: 64, _FUNC: 56, _INTERFACE: 80}
_NUMBER = re.compile(r'protobuf:"\w+,(\d+),')
_JSON = re.compile(r'json:"([^",]*)([^"]*)"')


class GoType(NamedTuple):
    """One type: its kind, its qualified name ('' for one without), and where its record is in the file."""

    kind: int
    name: str
    offset: int


class GoField(NamedTuple):
    """One field of a struct."""

    tag: str
    type: GoType


class GoBinary:
    """The types in a Go executable."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._sections = dict(self._read_sections())
        self._base = self._sections[".rodata"][0]

    def structs(self) -> Iterator[GoType]:
        """Every named struct that some type list points to."""
        _, offset, size = self._sections[".typelink"]
        for (link,) in struct.iter_unpack("<i", self._data[offset : offset + size]):
            pointer = self.type(self._base + link)
            if pointer.kind == _POINTER and (target := self.element(pointer)).kind == _STRUCT:
                yield target

    def type(self, address: int) -> GoType:
        offset = self._offset(address)
        flags, kind = self._data[offset + 20], self._data[offset + 23] & 31
        name = ""
        if flags & _UNCOMMON:
            text, _ = self._name(self._base + self._int32(offset + 40))
            package, _ = self._name(self._base + self._int32(offset + _SIZES.get(kind, _TYPE_SIZE)))
            name = f"{package}.{text.removeprefix('*' if flags & _EXTRA_STAR else '').rpartition('.')[2]}"
        return GoType(kind, name, offset)

    def element(self, of: GoType) -> GoType:
        """What a pointer points to, or a slice holds."""
        return self.type(self._pointer(of.offset + _TYPE_SIZE))

    def value(self, of: GoType) -> GoType:
        """What a map holds."""
        return self.type(self._pointer(of.offset + _TYPE_SIZE + 8))

    def fields(self, of: GoType) -> Iterator[GoField]:
        start, count = struct.unpack_from("<QQ", self._data, of.offset + _TYPE_SIZE + 8)
        offset = self._offset(start) if count else 0
        for name, type_address, _ in struct.iter_unpack("<QQQ", self._data[offset : offset + 24 * count]):
            yield GoField(self._name(name)[1], self.type(type_address))

    def _read_sections(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        (headers,) = struct.unpack_from("<Q", self._data, 0x28)
        size, count, names = struct.unpack_from("<HHH", self._data, 0x3A)
        found = [struct.unpack_from("<IIQQQQ", self._data, headers + index * size) for index in range(count)]
        strings = found[names][4]
        for name, _, _, address, offset, length in found:
            end = self._data.index(b"\0", strings + name)
            yield self._data[strings + name : end].decode(), (address, offset, length)

    def _offset(self, address: int) -> int:
        for start, offset, size in self._sections.values():
            if start and start <= address < start + size:
                return address - start + offset
        raise ValueError(f"{address:#x} is in no section: is this a position-independent executable?")

    def _pointer(self, offset: int) -> int:
        return int(struct.unpack_from("<Q", self._data, offset)[0])

    def _int32(self, offset: int) -> int:
        return int(struct.unpack_from("<i", self._data, offset)[0])

    def _name(self, address: int) -> tuple[str, str]:
        """A name and the tag that goes with it."""
        offset = self._offset(address)
        has_tag = self._data[offset] & 2
        length, offset = self._varint(offset + 1)
        name = self._data[offset : offset + length].decode(errors="replace")
        if not has_tag:
            return name, ""
        tag_length, offset = self._varint(offset + length)
        return name, self._data[offset : offset + tag_length].decode(errors="replace")

    def _varint(self, offset: int) -> tuple[int, int]:
        number = shift = 0
        while True:
            byte = self._data[offset]
            offset += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number, offset


class Messages:
    """The messages that some roots reach, as the lines of `fields.txt`."""

    def __init__(self, binary: GoBinary) -> None:
        self._binary = binary
        self._structs = {found.name: found for found in binary.structs()}
        self._lines: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Raises KeyError: the binary doesn't have the type."""
        short = _short(name)
        if short in self._lines:
            return
        self._lines[short] = ""
        fields = [self._field(field) for field in self._binary.fields(self._structs[name])]
        self._lines[short] = " ".join([short, *filter(None, fields)])

    def text(self) -> str:
        return "".join(f"{line}\n" for _, line in sorted(self._lines.items()))

    def _field(self, field: GoField) -> str:
        number, json = _NUMBER.search(field.tag), _JSON.search(field.tag)
        if number is None or json is None or json[1] == "-":
            return ""
        kind, pointer = field.type, ""
        if kind.kind == _POINTER:
            kind, pointer = self._binary.element(kind), "*"
        inline = not json[1] and "inline" in json[2]
        return f"{number[1]}:{'' if inline else json[1]}:{pointer}{self._type(kind)}"

    def _type(self, kind: GoType) -> str:
        if kind.name in _SPECIAL:
            return _SPECIAL[kind.name]
        if kind.kind == _MAP:
            return "{}" + self._type(self._binary.value(kind))
        if kind.kind == _SLICE:
            element = self._binary.element(kind)
            if element.kind == _UINT8:
                return "bytes"
            # A named slice of strings is a message of its own, with the strings as field 1.
            return "items" if kind.name and element.kind == _STRING else "[]" + self._type(element)
        if kind.kind == _POINTER:
            return self._type(self._binary.element(kind))
        if kind.kind == _STRUCT:
            self.add(kind.name)
            return _short(kind.name)
        return _SCALARS[kind.kind]


def _short(name: str) -> str:
    """`k8s.io/api/apps/v1.Deployment` → `apps/v1.Deployment`."""
    return name.removeprefix("k8s.io/api/").removeprefix("k8s.io/apimachinery/pkg/apis/")


def main() -> None:
    messages = Messages(GoBinary(Path(sys.argv[1]).read_bytes()))
    for resource in RESOURCES:
        package = resource.group.partition(".")[0] or "core"
        messages.add(f"k8s.io/api/{package}/{resource.version}.{resource.kind}")
    for name in _OTHER_ROOTS:
        messages.add(name)
    sys.stdout.write(messages.text())


if __name__ == "__main__":
    main()
