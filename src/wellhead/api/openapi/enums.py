"""Which values a field may have, for those who read the documents (`kubectl explain` lists them).

The data that the definitions come from leave them out. `enums.txt` has them from Kubernetes 1.36's own
OpenAPI v3 documents: a definition and its fields, by tabs; a field's values by bars. What a list or a map
holds, its items have.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from wellhead.api.definitions import json_type
from wellhead.api.meta import Obj


@cache
def _enums() -> dict[str, dict[str, list[str]]]:
    lines = files(__package__).joinpath("enums.txt").read_text().splitlines()
    found = {}
    for line in lines:
        name, *fields = line.split("\t")
        pairs = (field.split("=", 1) for field in fields)
        found[name] = {field: values.split("|") for field, values in pairs}
    return found


def add_enums(name: str, schema: Obj) -> None:
    """In place: to the properties of a definition in OpenAPI's form, and to what is said of them."""
    for field, values in _enums().get(name, {}).items():
        place: Obj | None = (schema.get("properties") or {}).get(field)
        if place is None:
            continue
        if (kind := json_type(place)) == "string" and "description" in place:
            listed = "\n".join(f' - `"{value}"`' for value in values)
            place["description"] += f"\n\nPossible enum values:\n{listed}"
        if kind in ("array", "object"):
            place = place.get("items") or place.get("additionalProperties")
        if place is not None and json_type(place) == "string":
            place["enum"] = list(values)
