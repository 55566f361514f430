"""Reading objects that may be half-written, of unknown kinds, or lies: nothing here ever raises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wellhead.ip import Family, IPAddress, IPNetwork, networks_of, parse_address

Obj = dict[str, Any]


def at(obj: Any, *path: str | int) -> Any:
    """What is at a path of field names and positions; None where there is nothing."""
    for step in path:
        if isinstance(step, int):
            obj = obj[step] if isinstance(obj, list) and -len(obj) <= step < len(obj) else None
        else:
            obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def table(obj: Any, *path: str | int) -> Obj:
    """The mapping at a path; an empty one where there is none."""
    found = at(obj, *path)
    return found if isinstance(found, dict) else {}


def items(obj: Any, *path: str | int) -> list[Any]:
    """The list at a path; an empty one where there is none."""
    found = at(obj, *path)
    return found if isinstance(found, list) else []


def tables(obj: Any, *path: str | int) -> list[Obj]:
    """The mappings in the list at a path."""
    return [each for each in items(obj, *path) if isinstance(each, dict)]


def text(obj: Any, *path: str | int) -> str:
    """The text at a path; empty where there is none. Numbers and truth values as YAML writes them."""
    found = at(obj, *path)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, (str, int, float)) else ""


def texts(obj: Any, *path: str | int) -> list[str]:
    """The texts in the list at a path; a single text counts as a list of one."""
    found = at(obj, *path)
    if isinstance(found, str):
        return [found]
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def number(obj: Any, *path: str | int) -> int | None:
    """The whole number at a path."""
    found = at(obj, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 10:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def is_true(value: str) -> bool:
    """Whether an annotation or a flag says yes."""
    return value.strip().lower() in ("true", "1", "yes", "on", "enabled", "*")


def addresses(values: list[str]) -> list[IPAddress]:
    """The addresses among texts."""
    found = (parse_address(each.strip()) for each in values)
    return [each for each in found if each is not None]


def networks(values: list[str]) -> tuple[IPNetwork, ...]:
    """The networks among texts, of both families."""
    return tuple(each for family in Family for each in networks_of(family, values))


def split(value: str) -> list[str]:
    """A list written with commas."""
    return [each.strip() for each in value.split(",") if each.strip()]


def within(address: IPAddress | None, nets: tuple[IPNetwork, ...]) -> bool:
    """Whether an address is in one of the networks."""
    return address is not None and any(address in each for each in nets if each.version == address.version)


def flags(arguments: list[str]) -> dict[str, str]:
    """`--name=value`, `--name value` and `--name` (which is `true`) of a command line, without dashes."""
    found: dict[str, str] = {}
    name = ""
    for each in arguments:
        for word in each.split() if each.startswith("-") and " " in each else [each]:
            if word.startswith("-") and len(word) > 1:
                name, has_value, value = word.lstrip("-").partition("=")
                found[name] = value if has_value else "true"
                if has_value:
                    name = ""
            elif name:
                found[name], name = word, ""
    return found


def containers(workload: Obj) -> Iterator[Obj]:
    """The containers of a Pod or of what makes pods, init containers last."""
    spec = table(workload, "spec", "template", "spec") or table(workload, "spec")
    yield from tables(spec, "containers")
    yield from tables(spec, "initContainers")


def environment(workload: Obj) -> dict[str, str]:
    """The variables that a workload's containers are given as plain values."""
    return {
        text(each, "name"): text(each, "value")
        for container in reversed(list(containers(workload)))
        for each in tables(container, "env")
        if each.get("value") is not None
    }


def command_line(workload: Obj) -> dict[str, str]:
    """The flags of a workload's containers."""
    found: dict[str, str] = {}
    for each in reversed(list(containers(workload))):
        found |= flags([*texts(each, "command"), *texts(each, "args")])
    return found


def images(workload: Obj) -> list[str]:
    """The images of a workload's containers."""
    return [text(each, "image") for each in containers(workload)]


def parsed(document: str) -> Obj:
    """A YAML or JSON document in a ConfigMap; an empty mapping where it is neither."""
    if not document.strip():
        return {}
    import yaml

    try:
        found = yaml.load(document, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
