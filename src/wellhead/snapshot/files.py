"""Reading manifests: YAML of many documents, Lists, JSON, and snapshots of one object a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from wellhead.paths.world import Decoded, Entry

_SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".ndjson")


class Unreadable(ValueError):
    """A file that can't be read; the message says which and why."""


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    labels: dict[str, Any] | None = None


class _Head(msgspec.Struct):
    kind: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_head = msgspec.json.Decoder(_Head)


class LazyEntry:
    """An object of a snapshot, whose kind and name are known and which is decoded when it is asked for."""

    __slots__ = ("_obj", "kind", "labels", "name", "namespace", "raw")

    def __init__(self, raw: bytes, head: _Head) -> None:
        self.raw: bytes | None = raw
        self._obj: dict[str, Any] | None = None
        self.kind, self.name, self.namespace = head.kind, head.metadata.name, head.metadata.namespace
        self.labels: dict[str, str] = head.metadata.labels or {}

    @property
    def obj(self) -> dict[str, Any]:
        if self._obj is None:
            found: dict[str, Any] = msgspec.json.decode(self.raw or b"{}")
            self._obj = found
        return self._obj


def read_files(names: Iterable[str]) -> list[Entry]:
    """Every object in files, in directories of them, and on standard input (`-`). Raises Unreadable."""
    found: list[Entry] = []
    for name in names:
        if name == "-":
            found += read_text(sys.stdin.buffer.read(), "standard input")
            continue
        path = Path(name)
        try:
            files = _files_in(path) if path.is_dir() else [path]
            for each in files:
                found += read_text(each.read_bytes(), str(each))
        except OSError as error:
            raise Unreadable(f"{error.filename or name}: {error.strerror}") from error
    return found


def _files_in(directory: Path) -> list[Path]:
    return sorted(each for each in directory.rglob("*") if each.suffix in _SUFFIXES and each.is_file())


def read_text(data: bytes, name: str) -> list[Entry]:
    """The objects of one document or several."""
    stripped = data.lstrip()
    if stripped.startswith((b"{", b"[")):
        lines = _json_lines(data)
        if lines is not None:
            return lines
        try:
            return list(_entries(msgspec.json.decode(data)))
        except msgspec.DecodeError as error:
            if stripped.startswith(b"{") and b"\n" in stripped and _is_json_of_many(stripped):
                raise Unreadable(f"{name}: not JSON: {error}") from error
    return [each for document in _yaml(data, name) for each in _entries(document)]


def _is_json_of_many(data: bytes) -> bool:
    return data.rstrip().endswith(b"}") and b'"kind"' in data


def _json_lines(data: bytes) -> list[Entry] | None:
    """A snapshot's objects; None where the text is no such thing."""
    lines = [each for each in data.split(b"\n") if each.strip()]
    if len(lines) < 2 and not (lines and lines[0].rstrip().endswith(b"}")):
        return None
    found: list[Entry] = []
    for line in lines:
        if not line.startswith(b"{"):
            return None
        try:
            head = _head.decode(line)
        except msgspec.ValidationError:
            found += _entries(msgspec.json.decode(line))  # lies about its metadata
            continue
        except msgspec.DecodeError:
            return None
        if head.kind.endswith("List"):
            found += _entries(msgspec.json.decode(line))
        elif head.kind:
            found.append(LazyEntry(line, head))
    return found


def _entries(document: Any) -> Iterator[Entry]:
    """An object, or those of a List, however deep."""
    if isinstance(document, list):
        for each in document:
            yield from _entries(each)
    elif isinstance(document, dict):
        items = document.get("items")
        if isinstance(items, list) and str(document.get("kind", "List")).endswith("List"):
            kind = str(document.get("kind", "")).removesuffix("List")
            for each in items:
                if isinstance(each, dict) and kind and not each.get("kind"):
                    each = {"kind": kind, "apiVersion": document.get("apiVersion", "")} | each
                yield from _entries(each)
        elif document.get("kind"):
            yield Decoded(document)


def _yaml(data: bytes, name: str) -> Iterator[Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.load_all(data, Loader=loader)
    except yaml.YAMLError as error:
        raise Unreadable(f"{name}: neither YAML nor JSON: {error}") from error
