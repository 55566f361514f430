"""A container's environment variables and the $(NAME) references in them.

Source: "Define Environment Variables for a Container", pkg/kubelet/envvars, forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping

from wellhead.api.meta import Obj
from wellhead.ip import bracketed
from wellhead.node import downward
from wellhead.node.pods import env_files
from wellhead.node.references import Reference
from wellhead.node.volumes.content import payload

Get = Callable[[Reference], Awaitable[Obj | None]]
Read = Callable[[str, str], Awaitable[bytes]]
"""Reads a file of a volume, by both their names. Raises OSError, ValueError."""

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")
_NAME = re.compile(r"^[!-<>-~]+$")  # printable ASCII without '='


class VariableError(Exception):
    """A variable's value can't be had (now); the message names what is missing."""


class UnsupportedVariable(VariableError):
    """A variable's value is of a kind that this agent doesn't know."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value; what has no value stays as it is, and $$ is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def missing(text: str, variables: Mapping[str, str]) -> list[str]:
    """The names that $(NAME)s in the text refer to and that have no value."""
    return [match[2] for match in _REFERENCE.finditer(text) if match[1] != "$" and match[2] not in variables]


def service_variables(services: Iterable[Obj], namespace: str, *, links: bool) -> dict[str, str]:
    """The Docker-style variables of Services: those of the pod's namespace, and the `kubernetes` Service's.

    Without `links` (enableServiceLinks: false) only the latter's.
    """
    chosen: dict[str, Obj] = {}
    for service in services:
        metadata = service["metadata"]
        address = service["spec"].get("clusterIP")
        if not address or address == "None" or not service["spec"].get("ports"):
            continue
        if metadata["namespace"] == namespace and links:
            chosen[metadata["name"]] = service
        elif metadata["namespace"] == "default" and metadata["name"] == "kubernetes":
            chosen.setdefault("kubernetes", service)
    variables: dict[str, str] = {}
    for name, service in sorted(chosen.items()):
        variables |= _of_service(name, service["spec"])
    return variables


def _of_service(name: str, spec: Obj) -> dict[str, str]:
    prefix = _upper(name)
    address, ports = spec["clusterIP"], spec["ports"]
    host = bracketed(address)
    variables = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{_upper(port['name'])}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = str(port.get("protocol") or "TCP")
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if index == 0:
            variables[f"{prefix}_PORT"] = url
        variables |= {
            link: url,
            f"{link}_PROTO": protocol.lower(),
            f"{link}_PORT": str(port["port"]),
            f"{link}_ADDR": address,
        }
    return variables


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


async def variables(
    pod: Obj,
    container: Obj,
    services: Mapping[str, str],
    get: Get,
    allocatable: Mapping[str, str],
    read: Read | None = None,
) -> dict[str, str]:
    """What the spec says the container's variables are, Services' first (so that the spec overrides them).

    Raises:
        VariableError: a ConfigMap, Secret, file or key that is not optional is missing.
    """
    result = dict(services)
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or ():
        result |= await _env_from(source, namespace, get)
    for entry in container.get("env") or ():
        if reference := (entry.get("valueFrom") or {}).get("fileKeyRef"):
            found = None if read is None else await _from_file(reference, read)
            if found is not None:
                result[entry["name"]] = found
        elif entry.get("valueFrom"):
            value = await _value_from(entry["valueFrom"], pod, container, get, allocatable)
            if value is not None:
                result[entry["name"]] = value
        else:
            result[entry["name"]] = expand(str(entry.get("value") or ""), result)
    return result


async def _from_file(reference: Obj, read: Read) -> str | None:
    name, path = reference["key"], reference["path"]
    try:
        text = (await read(reference["volumeName"], path)).decode(errors="replace")
        value = env_files.value(text, name)
    except FileNotFoundError:
        if reference.get("optional"):
            return None
        raise VariableError(f"environment variable file {path!r} not found") from None
    except (OSError, ValueError) as error:
        raise VariableError(f"couldn't parse env file {path!r}: {error}") from None
    if not value and not reference.get("optional"):
        raise VariableError(f'environment variable key "{name}" not found in file "{path}"')
    return value or None


async def _env_from(source: Obj, namespace: str, get: Get) -> dict[str, str]:
    kind, reference = (
        ("ConfigMap", source.get("configMapRef"))
        if "configMapRef" in source
        else (
            "Secret",
            source.get("secretRef"),
        )
    )
    reference = reference or {}
    obj = await get(Reference(kind, namespace, reference["name"]))
    if obj is None:
        if reference.get("optional"):
            return {}
        raise VariableError(f'{kind.lower()} "{reference["name"]}" not found')
    prefix = str(source.get("prefix") or "")
    named = {prefix + name: value.decode(errors="replace") for name, value in payload(obj).items()}
    return {name: value for name, value in named.items() if _NAME.match(name)}


async def _value_from(
    source: Obj, pod: Obj, container: Obj, get: Get, allocatable: Mapping[str, str]
) -> str | None:
    try:
        if "fieldRef" in source:
            return downward.field(pod, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            reference = source["resourceFieldRef"]
            named = reference.get("containerName")
            everyone = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
            subject = next((c for c in everyone if c["name"] == named), container)
            return downward.resource(pod, subject, reference, allocatable)
    except downward.FieldError as error:
        raise VariableError(str(error)) from None
    if not source.keys() & {"configMapKeyRef", "secretKeyRef"}:
        kinds = ", ".join(source)
        raise UnsupportedVariable(f"valueFrom.{kinds} is not supported by the wellhead node agent")
    kind = "ConfigMap" if "configMapKeyRef" in source else "Secret"
    reference = source.get("configMapKeyRef") or source.get("secretKeyRef") or {}
    namespace = pod["metadata"]["namespace"]
    obj = await get(Reference(kind, namespace, reference["name"]))
    if obj is None:
        if reference.get("optional"):
            return None
        raise VariableError(f'{kind.lower()} "{reference["name"]}" not found')
    value = payload(obj).get(reference["key"])
    if value is None:
        if reference.get("optional"):
            return None
        raise VariableError(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")
    return value.decode(errors="replace")
