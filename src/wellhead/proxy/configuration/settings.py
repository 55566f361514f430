"""The fields of a KubeProxyConfiguration as a table: what the command line and the warnings are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import msgspec

from wellhead.api.duration import Duration
from wellhead.proxy.configuration.schema import KubeProxyConfiguration, Section

Kind = Literal["string", "number", "boolean", "duration", "list", "map"]


@dataclass(frozen=True)
class Setting:
    """One field."""

    path: tuple[str, ...]
    """Its names in the file, from the outermost."""
    attributes: tuple[str, ...]
    """The same, in the schema's structs."""
    kind: Kind
    default: Any
    flag: str
    """The flag that sets it too, without dashes; empty if there is none. Two fields may share one."""
    help: str
    unused: str
    """Why it has no effect; empty if it has."""
    zero_counts: bool
    """Whether its zero value in a file is meant, rather than the default."""

    @property
    def name(self) -> str:
        """`iptables.syncPeriod`, as messages name it."""
        return ".".join(self.path)

    def of(self, configuration: KubeProxyConfiguration) -> Any:
        """Its value."""
        value: Any = configuration
        for each in self.attributes:
            value = getattr(value, each)
        return value


def _walk(section: type[Section], path: tuple[str, ...], attributes: tuple[str, ...]) -> Iterator[Setting]:
    for field in msgspec.structs.fields(section):
        here, attribute = (*path, field.encode_name), (*attributes, field.name)
        if isinstance(field.type, type) and issubclass(field.type, Section):
            yield from _walk(field.type, here, attribute)
        elif extra := _extra(field.type):
            type_, meta = get_args(field.type)[:2]
            default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
            yield Setting(here, attribute, _kind(type_), default, help=meta.description or "", **extra)


def _extra(annotation: Any) -> dict[str, Any]:
    metas = [each for each in get_args(annotation) if isinstance(each, msgspec.Meta)]
    return dict(metas[0].extra or {}) if metas else {}


def _kind(type_: Any) -> Kind:
    kinds: dict[Any, Kind] = {
        bool: "boolean",
        int: "number",
        float: "number",
        Duration: "duration",
        list: "list",
        dict: "map",
    }
    return kinds.get(get_origin(type_) or type_, "string")


SETTINGS: tuple[Setting, ...] = tuple(_walk(KubeProxyConfiguration, (), ()))


def without_effect(configuration: KubeProxyConfiguration) -> Iterator[str]:
    """A sentence for each value that was asked for and has no effect here."""
    for each in SETTINGS:
        value = each.of(configuration)
        if each.unused and value not in (each.default, 0, "", "0", False, []) and value != Duration(0):
            yield f"{each.name} has no effect: {each.unused}"
    for gate in configuration.feature_gates:
        yield f"featureGates.{gate} has no effect: there are no feature gates here"
