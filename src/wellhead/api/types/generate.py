"""Writes the typed views of the kinds beside this file, from the API's own schema.

    python -m wellhead.api.types.generate

A kind's file has the types that this kind alone reaches; what several reach is in `shared`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from wellhead.api.definitions import INT_OR_STRING, QUANTITY, RawDefinitions, json_type, reference
from wellhead.api.meta import Obj

KINDS = {
    "endpointslice": "io.k8s.api.discovery.v1.EndpointSlice",
    "node": "io.k8s.api.core.v1.Node",
    "pod": "io.k8s.api.core.v1.Pod",
    "service": "io.k8s.api.core.v1.Service",
}
SHARED = "shared"

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "": "Any"}
_SPECIAL = {QUANTITY: "str", INT_OR_STRING: "int | str"}


def files() -> dict[str, str]:
    """File name without its ending → the text that it should have."""
    raw = RawDefinitions()
    types = {file: raw.reachable([root]) for file, root in KINDS.items()}
    counts = Counter(name for reached in types.values() for name in reached)
    every = {name: schema for reached in types.values() for name, schema in reached.items()}
    common = {name for name, count in counts.items() if count > 1}
    return {
        SHARED: _file("What objects of several kinds have in common", common, every),
        **{
            file: _file(f"{_class_name(KINDS[file])}s", set(own) - common, every)
            for file, own in types.items()
        },
    }


def _file(title: str, names: Iterable[str], every: dict[str, Obj]) -> str:
    structures = sorted(name for name in names if _is_structure(every[name]))
    body = "\n\n\n".join(_class(name, every) for name in structures)
    elsewhere = {_class_name(name) for name in every.keys() - set(structures) if _is_structure(every[name])}
    imported = sorted(name for name in elsewhere if re.search(rf"\b{name}\b", body))
    lines = [f'"""{title}, as decoded from JSON.', "", "Made by `generate.py`; not to be edited.", '"""', ""]
    lines += ["from __future__ import annotations", ""]
    lines.append(f"from typing import {'Any, ' if 'Any' in body else ''}TypedDict")
    if imported:
        lines += ["", f"from wellhead.api.types.{SHARED} import {', '.join(imported)}"]
    return "\n".join(lines) + f"\n\n\n{body}\n"


def _class(name: str, every: dict[str, Obj]) -> str:
    fields = sorted(every[name]["properties"].items())
    lines = [f"    {field}: {_type(schema, every)}" for field, schema in fields]
    return "\n".join([f"class {_class_name(name)}(TypedDict, total=False):", *lines])


def _type(schema: Obj, every: dict[str, Obj]) -> str:
    if name := reference(schema):
        if name in _SPECIAL:
            return _SPECIAL[name]
        return _class_name(name) if _is_structure(every[name]) else _type(every[name], every)
    match json_type(schema):
        case "array":
            return f"list[{_type(schema['items'], every)}]"
        case "object":
            values = schema.get("additionalProperties")
            return f"dict[str, {_type(values, every) if isinstance(values, dict) else 'Any'}]"
        case scalar:
            return _SCALARS[scalar]


def _class_name(definition: str) -> str:
    return definition.rpartition(".")[2]


def _is_structure(schema: Obj) -> bool:
    return bool(schema.get("properties"))


def main() -> None:
    for file, text in files().items():
        Path(__file__).with_name(f"{file}.py").write_text(text)


if __name__ == "__main__":
    main()
