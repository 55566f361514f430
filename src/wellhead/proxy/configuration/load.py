"""Reading a configuration: from a file, or from flags. Both go through the same decoder."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from wellhead import ports
from wellhead.api.documents import check_extent
from wellhead.api.duration import Duration
from wellhead.ip import bracketed
from wellhead.proxy.configuration.schema import API_VERSION, KIND, KubeProxyConfiguration
from wellhead.proxy.configuration.settings import SETTINGS, Setting

_LONGEST = 16 * 1024  # bytes of a file: its reader is a slow one
_ANY = "0.0.0.0"  # noqa: S104 - load balancers ask from outside


class ConfigurationError(ValueError):
    """A configuration that can't be used. `problems` are (name of the field, what is wrong with it)."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{name}: {what}" if name else what for name, what in self.problems))


Given = Mapping[str, str | tuple[str, ...]]
"""Flags by their names without dashes, and what they were given; a tuple: each time that one was given."""


def from_file(path: Path, flags: Given | None = None) -> KubeProxyConfiguration:
    """Read a file, YAML or JSON. Values of `flags` replace the file's.

    Raises:
        ConfigurationError: it can't be read, or says something that is not part of a KubeProxyConfiguration.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST} bytes")
        text = content.decode()
        check_extent(text)
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigurationError([("", error.strerror or str(error))]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError([("", f"not YAML: {error}")]) from error
    return _with_flags(from_document(document), flags or {})


def from_document(document: object) -> KubeProxyConfiguration:
    """Read a parsed file. Zero values stand for defaults, as upstream; null is as good as absent.

    Raises:
        ConfigurationError: see there.
    """
    if not isinstance(document, dict):
        raise ConfigurationError([("", f"not a {KIND}")])
    document = cast(dict[str, Any], _without_nulls(document))
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(name) != expected:
            raise ConfigurationError([(name, f"{document.get(name)!r} is not {expected}")])
    for each in SETTINGS:
        if not each.zero_counts:
            _drop_zero(document, each)
    return with_addresses(_decode(document, strict=True))


def from_flags(given: Given) -> KubeProxyConfiguration:
    """Read flags; what they don't say has its default.

    Raises:
        ConfigurationError: a value is no good.
    """
    return _with_flags(with_addresses(KubeProxyConfiguration()), given)


def _with_flags(configuration: KubeProxyConfiguration, given: Given) -> KubeProxyConfiguration:
    if not given:
        return configuration
    document = to_document(configuration)
    for each in SETTINGS:
        if each.flag and each.flag in given:
            _put(document, each.path, _from_text(each, given[each.flag]))
    return _decode(document, strict=False)


def to_document(configuration: KubeProxyConfiguration) -> dict[str, Any]:
    """What a file with this content holds."""
    document: dict[str, Any] = msgspec.to_builtins(configuration, enc_hook=_encode)
    return document


def with_addresses(configuration: KubeProxyConfiguration) -> KubeProxyConfiguration:
    """Complete the two listening addresses; their default family is that of bindAddress."""
    six = ":" in configuration.bind_address

    def complete(address: str, default: str, port: int) -> str:
        if not address:
            return f"{default}:{port}"
        bare = address.strip("[]") if address.endswith("]") or address.count(":") > 1 else address
        if ":" in address and address[-1] != "]" and (address[0] == "[" or address.count(":") == 1):
            return address
        return f"{bracketed(bare)}:{port}"

    return msgspec.structs.replace(
        configuration,
        healthz_bind_address=complete(
            configuration.healthz_bind_address, "[::]" if six else _ANY, ports.PROXY_HEALTH
        ),
        metrics_bind_address=complete(
            configuration.metrics_bind_address, "[::1]" if six else "127.0.0.1", ports.PROXY_METRICS
        ),
    )


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's own rule silently drops the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is no scalar", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _drop_zero(document: dict[str, Any], setting: Setting) -> None:
    section: Any = document
    for each in setting.path[:-1]:
        section = section.get(each)
        if not isinstance(section, dict):
            return
    value = section.get(setting.path[-1])
    zeros: tuple[Any, ...] = ("", 0) if setting.kind != "duration" else ("", "0", "0s")
    if not isinstance(value, bool) and value in zeros:
        del section[setting.path[-1]]


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for each in path[:-1]:
        document = document[each]
    document[path[-1]] = value


def _from_text(setting: Setting, given: str | tuple[str, ...]) -> Any:
    texts = given if isinstance(given, tuple) else (given,)
    if setting.kind in ("list", "map"):
        parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
        if setting.kind == "list":
            return parts
        return {name: value or "true" for name, _, value in (each.partition("=") for each in parts)}
    return texts[-1]


def _decode(document: dict[str, Any], *, strict: bool) -> KubeProxyConfiguration:
    unknown: list[tuple[str, str]] = []
    while True:
        try:
            decoded = msgspec.convert(document, KubeProxyConfiguration, strict=strict, dec_hook=_hook)
        except msgspec.ValidationError as error:
            what, path = _parse(str(error))
            field = re.fullmatch(r"Object contains unknown field `(.*)`", what)
            if field is None:
                raise ConfigurationError([*unknown, (".".join(path), what)]) from error
            unknown.append((".".join([*path, field[1]]), _unknown(path, field[1])))
            _remove(document, path, field[1])  # to tell of all of them at once
        else:
            if unknown:
                raise ConfigurationError(unknown)
            return decoded


def _parse(message: str) -> tuple[str, list[str]]:
    what, _, where = message.partition(" - at `$")
    return what, [each for each in where.rstrip("`").split(".") if each]


def _unknown(path: list[str], name: str) -> str:
    known = {each.path[len(path)] for each in SETTINGS if each.path[: len(path)] == tuple(path)}
    close = difflib.get_close_matches(name, known, 1, 0.7)
    return f"there is no such field; {close[0]} is meant?" if close else "there is no such field"


def _remove(document: dict[str, Any], path: list[str], name: str) -> None:
    for each in path:
        document = document[each]
    del document[name]


def _hook(type_: type, value: Any) -> Any:
    if type_ is Duration:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration such as 30s: it needs a unit")
        return Duration.parse(value)
    raise NotImplementedError(type_)


def _encode(value: Any) -> str:
    return str(value)
